//! Nonces that clients put into their proofs (RFC 9449 §8). No server remembers them: they follow from the time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::MacKey;
use crate::types::Timestamp;
use keyturn_verify::dpop::LEEWAY_SECS;

/// How long a nonce is given out. It is accepted for as long again.
const SLOT: Duration = Duration::from_secs(60);

/// The nonces of all servers with the same secret.
#[derive(Clone)]
pub(super) struct Nonces {
    key: MacKey,
}

impl Nonces {
    /// Creates the nonces under a key.
    pub(super) fn new(key: MacKey) -> Self {
        Self { key }
    }

    /// Returns the nonce to give out.
    pub(super) fn current(&self, now: Timestamp) -> String {
        URL_SAFE_NO_PAD.encode(self.key.tag(&slot(now).to_be_bytes()))
    }

    /// Returns whether a nonce was given out a moment ago, also by a server whose clock is a little ahead.
    pub(super) fn accepts(&self, nonce: &str, now: Timestamp) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let ahead = now.plus(Duration::from_secs(LEEWAY_SECS.unsigned_abs()));
        let slots = [slot(now), slot(now).saturating_sub(1), slot(ahead)];
        slots.iter().any(|slot| self.key.is_tag(&slot.to_be_bytes(), &tag))
    }
}

/// Returns the number of the slot of a time.
fn slot(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(i64::try_from(SLOT.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterSecret;

    #[test]
    fn a_nonce_is_accepted_for_one_to_two_minutes_by_all_servers_with_the_secret() {
        let nonces = Nonces::new(MasterSecret::for_test("a").dpop_nonce_key());
        let begin = Timestamp::from_secs(1_800_000_000);
        let at = |secs| Timestamp::from_secs(begin.as_secs() + secs);
        let nonce = nonces.current(begin);
        for (secs, is_accepted) in [(-6, false), (-5, true), (0, true), (59, true), (119, true), (120, false)] {
            assert_eq!(nonces.accepts(&nonce, at(secs)), is_accepted, "{secs}");
        }
        assert!(nonces.accepts(&nonces.current(at(59)), at(119)));
        let others = Nonces::new(MasterSecret::for_test("b").dpop_nonce_key());
        for nonce in [nonce.as_str(), "", "AAAAAAAAAAAAAAAAAAAAAA", "!"] {
            assert!(!others.accepts(nonce, begin), "{nonce}");
        }
    }

    #[test]
    fn a_nonce_outlives_a_change_of_the_secret() {
        let begin = Timestamp::from_secs(1_800_000_000);
        let former = MasterSecret::for_test("a");
        let changing = MasterSecret::for_test("b").with_previous(former.clone());
        let nonce = Nonces::new(former.dpop_nonce_key()).current(begin);
        assert!(Nonces::new(changing.dpop_nonce_key()).accepts(&nonce, begin));
        changing.put_in_force();
        assert!(Nonces::new(changing.dpop_nonce_key()).accepts(&nonce, begin));
    }
}
