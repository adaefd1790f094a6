//! Snapshots of sessions in the cache.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Policy, SessionSnapshot, Sessions, Subject};
use crate::cache::{NewEntry, Superseded};
use crate::types::{Amr, Jti, KeyThumbprint, Roles, SessionId, Timestamp, UserId, as_millis};

/// A snapshot in the form that the cache stores. An entry of another form counts as missing, so the form may change.
#[derive(Serialize, Deserialize)]
struct CacheEntry<'a> {
    session: SessionId,
    user: UserId,
    email: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    roles: Cow<'a, Roles>,
    email_verified: bool,
    generation: i64,
    revision: i64,
    access_jti: Jti,
    former_access_jti: Option<Jti>,
    #[serde(with = "as_millis")]
    issued_at: Timestamp,
    #[serde(with = "as_millis")]
    access_expires_at: Timestamp,
    #[serde(with = "as_millis")]
    expires_at: Timestamp,
    #[serde(with = "as_millis")]
    ends_at: Timestamp,
    #[serde(with = "as_millis")]
    authenticated_at: Timestamp,
    amr: Cow<'a, Amr>,
    client_id: Cow<'a, str>,
    actor: Option<UserId>,
    valid_from_revision: i64,
    bound_to: Option<KeyThumbprint>,
}

/// The first byte of an entry, to be changed with its form.
const FORM: u8 = 2;

/// Encodes a snapshot as a cache entry. Returns `None` if that fails.
fn encode(snapshot: &SessionSnapshot) -> Option<Vec<u8>> {
    let subject = &snapshot.subject;
    let entry = CacheEntry {
        session: snapshot.session,
        user: subject.id,
        email: Cow::Borrowed(&subject.email),
        name: subject.name.as_deref().map(Cow::Borrowed),
        roles: Cow::Borrowed(&subject.roles),
        email_verified: subject.email_verified,
        generation: snapshot.generation,
        revision: snapshot.revision,
        access_jti: snapshot.access_jti,
        former_access_jti: snapshot.former_access_jti,
        issued_at: snapshot.issued_at,
        access_expires_at: snapshot.access_expires_at,
        expires_at: snapshot.expires_at,
        ends_at: snapshot.ends_at,
        authenticated_at: snapshot.authenticated_at,
        amr: Cow::Borrowed(&snapshot.amr),
        client_id: Cow::Borrowed(&snapshot.client_id),
        actor: snapshot.actor,
        valid_from_revision: snapshot.valid_from_revision,
        bound_to: snapshot.bound_to,
    };
    postcard::to_extend(&entry, vec![FORM]).ok()
}

/// Decodes a cache entry. Returns `None` if it has another form.
pub(super) fn decode(entry: &[u8]) -> Option<SessionSnapshot> {
    let (entry, []) = postcard::take_from_bytes::<CacheEntry<'_>>(entry.strip_prefix(&[FORM])?).ok()? else {
        return None;
    };
    Some(SessionSnapshot {
        session: entry.session,
        subject: Subject {
            id: entry.user,
            email: entry.email.into_owned(),
            name: entry.name.map(Cow::into_owned),
            roles: entry.roles.into_owned(),
            email_verified: entry.email_verified,
        },
        generation: entry.generation,
        revision: entry.revision,
        access_jti: entry.access_jti,
        former_access_jti: entry.former_access_jti,
        issued_at: entry.issued_at,
        access_expires_at: entry.access_expires_at,
        expires_at: entry.expires_at,
        ends_at: entry.ends_at,
        authenticated_at: entry.authenticated_at,
        amr: entry.amr.into_owned(),
        client_id: entry.client_id.into_owned(),
        actor: entry.actor,
        valid_from_revision: entry.valid_from_revision,
        bound_to: entry.bound_to,
    })
}

/// Returns the entry of a snapshot, or `None` if it cannot be encoded.
pub(super) fn new_entry(snapshot: &SessionSnapshot, policy: &Policy, now: Timestamp) -> Option<NewEntry> {
    let from = snapshot.issued_at.plus(policy.replay_window);
    Some(NewEntry {
        session: snapshot.session,
        version: snapshot.version(),
        bytes: encode(snapshot)?,
        superseded: snapshot.former_access_jti.map(|jti| Superseded { jti, from }),
        ttl: snapshot.access_token_expires_at(policy).since(now).max(Duration::from_secs(1)),
    })
}

impl Sessions {
    /// Puts a session's snapshot into the cache. An error is ignored, because a check then reads the database.
    pub(super) async fn put_in_cache(&self, snapshot: &SessionSnapshot, now: Timestamp) {
        if let Some(entry) = new_entry(snapshot, &self.policy, now) {
            let _ = self.cache.put(entry).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_entry_reads_back_as_the_snapshot_that_it_was_made_of() {
        let at = Timestamp::from_millis(1_700_000_000_007);
        let snapshot = SessionSnapshot {
            session: SessionId(Uuid::from_u128(1)),
            subject: Subject {
                id: UserId(Uuid::from_u128(2)),
                email: "ada\"@example.com".to_owned(),
                name: Some("Ada \u{1f98b}".to_owned()),
                roles: Roles::administrator(),
                email_verified: true,
            },
            generation: 3,
            revision: 4,
            access_jti: Jti(Uuid::from_u128(5)),
            former_access_jti: Some(Jti(Uuid::from_u128(6))),
            issued_at: at,
            access_expires_at: at.plus(Duration::from_millis(9)),
            expires_at: at.plus(Duration::from_millis(1)),
            ends_at: at.plus(Duration::from_millis(2)),
            authenticated_at: at.plus(Duration::from_millis(3)),
            amr: Amr::password(),
            client_id: "keyturn".to_owned(),
            actor: Some(UserId(Uuid::from_u128(7))),
            valid_from_revision: 2,
            bound_to: Some(KeyThumbprint::new([8; 32])),
        };
        let bytes = encode(&snapshot).unwrap();
        assert_eq!(decode(&bytes), Some(snapshot));
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None, "{length}");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(decode(b"{\"session\":1}"), None);
    }
}
