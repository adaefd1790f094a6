//! Codes of an app: TOTP (RFC 6238) with SHA-1, six digits, 30 seconds, and one step of tolerance to either side. It is
//! what all apps know; some fall back to it silently when asked for more.

use qrcode::QrCode;
use qrcode::render::svg;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::{MfaError, store};
use crate::accounts::Accounts;
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::db::types::UserId;
use crate::db::{Conn, DbError, DbResult};
use crate::mail::MfaChange;

/// Digits of a code.
pub const DIGITS: usize = 6;

/// Bytes of a secret: what RFC 4226 §4 recommends, the length of SHA-1.
const SECRET_BYTES: usize = 20;

/// Pixels of one module of the QR code.
const MODULE_PIXELS: u32 = 4;

/// What is shown once, to be put into an app.
pub struct Enrolment {
    /// In Base32, for those who type.
    pub secret: Zeroizing<String>,
    /// For apps on the same device.
    pub otpauth_uri: Zeroizing<String>,
    /// The same as an image, for apps on another.
    pub qr_svg: Zeroizing<String>,
}

impl Enrolment {
    fn new(secret: &[u8], issuer: &str, account: &str) -> DbResult<Self> {
        let unexpected = |error: &dyn std::error::Error| DbError::Unexpected(error.to_string());
        let builder = Builder::new().with_secret(secret.to_vec()).with_account_name(without_colons(account));
        let totp = builder.with_issuer(Some(issuer)).build().map_err(|error| unexpected(&error))?;
        let uri = Zeroizing::new(totp.to_url().map_err(|error| unexpected(&error))?);
        let qr = QrCode::new(uri.as_bytes()).map_err(|error| unexpected(&error))?;
        let image =
            Zeroizing::new(qr.render::<svg::Color<'_>>().module_dimensions(MODULE_PIXELS, MODULE_PIXELS).build());
        // Without the declaration of XML, which has no place within a page.
        let svg = image.find("<svg").and_then(|start| image.get(start..)).unwrap_or(&image);
        Ok(Self {
            secret: Zeroizing::new(totp.secret().to_base32()),
            qr_svg: Zeroizing::new(svg.to_owned()),
            otpauth_uri: uri,
        })
    }
}

/// The form of an otpauth URI has the colon between issuer and account.
pub fn without_colons(text: &str) -> String {
    text.replace(':', "_")
}

/// The step that `code` is of, if it is right at `now`.
fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let code: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !matches!(c, ' ' | '-')).collect());
    let totp: Totp = Builder::new().with_secret(secret.to_vec()).build().ok()?;
    let step = totp.check(&code, u64::try_from(now.as_secs()).ok()?)?;
    i64::try_from(step).ok()
}

impl Accounts {
    /// Makes a secret for the account's app. It counts once a code of it was shown; until then, beginning again takes
    /// its place.
    pub async fn enrol_totp(&self, user: UserId) -> Result<Enrolment, MfaError> {
        let accounts = self.clone();
        let now = self.0.clock.now();
        let enrolled = self.0.db.write(move |conn| {
            let parts = &*accounts.0;
            let Some(email) = store::lock(conn, user)? else { return Ok(Err(MfaError::Gone)) };
            if store::is_active(conn, user)? {
                return Ok(Err(MfaError::AlreadyEnabled));
            }
            let secret: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(parts.random.bytes());
            let sealed = parts.mfa.seal.seal(secret.as_slice(), user.0.as_bytes(), &parts.random);
            store::replace_secret(conn, user, &sealed, now)?;
            Enrolment::new(secret.as_slice(), &parts.mfa.issuer, &email).map(Ok)
        });
        enrolled.await?
    }

    /// Switches two-step login on, after a code of the secret that waits for it. Answers the recovery codes, which are
    /// shown this once.
    pub async fn confirm_totp(
        &self,
        user: UserId,
        code: Zeroizing<String>,
        by: &Actor,
    ) -> Result<Vec<Zeroizing<String>>, MfaError> {
        let (accounts, by, now) = (self.clone(), by.clone(), self.0.clock.now());
        let confirmed = self.0.db.write(move |conn| {
            if store::lock(conn, user)?.is_none() {
                return Ok(Err(MfaError::Gone));
            }
            let Some(row) = store::secret(conn, user)? else { return Ok(Err(MfaError::NotStarted)) };
            if row.confirmed_at.is_some() {
                return Ok(Err(MfaError::AlreadyEnabled));
            }
            let secret = accounts.open_secret(user, &row.sealed_secret)?;
            let step = step_of(&secret, &code, now);
            let Some(step) = step else { return Ok(Err(MfaError::InvalidCode)) };
            store::confirm(conn, user, step, now)?;
            let codes = accounts.replace_recovery_codes_in(conn, user)?;
            accounts.tell_of_mfa_in(conn, user, MfaChange::Enabled, &by)?;
            Ok(Ok(codes))
        });
        let confirmed = confirmed.await?;
        self.0.mail.wake();
        confirmed
    }

    /// Switches two-step login off and forgets all that belongs to it. A secret that was never confirmed is forgotten
    /// without a word.
    pub async fn disable_mfa(&self, user: UserId, by: &Actor) -> Result<(), MfaError> {
        let (accounts, by) = (self.clone(), by.clone());
        let disabled = self.0.db.write(move |conn| {
            let Some(was_active) = store::remove(conn, user)? else { return Ok(Err(MfaError::NotEnabled)) };
            if was_active {
                accounts.tell_of_mfa_in(conn, user, MfaChange::Disabled, &by)?;
            }
            Ok(Ok(()))
        });
        let disabled = disabled.await?;
        self.0.mail.wake();
        disabled
    }

    /// Uses a code of the account's app up: it, and all of the steps before it, are never accepted again.
    pub(super) fn accept_totp_in(&self, conn: &mut Conn, user: UserId, code: &str) -> DbResult<bool> {
        let Some(row) = store::secret(conn, user)?.filter(|row| row.confirmed_at.is_some()) else { return Ok(false) };
        let secret = self.open_secret(user, &row.sealed_secret)?;
        match step_of(&secret, code, self.0.clock.now()) {
            Some(step) => store::accept_step(conn, user, &row.sealed_secret, step),
            None => Ok(false),
        }
    }

    fn open_secret(&self, user: UserId, sealed: &[u8]) -> DbResult<Zeroizing<Vec<u8>>> {
        let opened = self.0.mfa.seal.open(sealed, user.0.as_bytes());
        opened.ok_or_else(|| {
            DbError::Unexpected("a secret of two-step login was sealed by another JWT_SECRET".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the test vectors of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_agree_with_rfc_6238() {
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(step_of(SECRET, code, Timestamp::from_secs(seconds)), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_right_for_its_step_and_one_to_either_side() {
        let step = 1_111_111_109 / 30;
        for (steps, is_right) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let now = Timestamp::from_secs((step + steps) * 30);
            assert_eq!(step_of(SECRET, "081 804", now).is_some(), is_right, "{steps}");
        }
    }

    #[test]
    fn what_is_no_code_is_not_right() {
        for code in ["", "08180", "0818044", "+81804", "08180x", "٠٨١٨٠٤"] {
            assert_eq!(step_of(SECRET, code, Timestamp::from_secs(1_111_111_109)), None, "{code}");
        }
    }

    #[test]
    fn an_app_is_told_who_and_where() {
        let enrolment = Enrolment::new(SECRET, "auth.example", "ada:l@example.com").unwrap();
        assert_eq!(enrolment.secret.as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = enrolment.otpauth_uri.as_str();
        assert!(uri.starts_with("otpauth://totp/auth.example:ada_l%40example.com?"), "{uri}");
        assert!(
            uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer=auth.example"),
            "{uri}"
        );
        assert!(enrolment.qr_svg.starts_with("<svg ") && enrolment.qr_svg.ends_with("</svg>"));
    }
}
