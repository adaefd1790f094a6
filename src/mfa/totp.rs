//! Codes of authenticator apps: TOTP (RFC 6238) with SHA-1, six digits, 30 seconds, and a tolerance of one time step in
//! both directions. All apps support these parameters, and some silently ignore any others.

use qrcode::QrCode;
use qrcode::render::svg;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::recovery_codes::RecoveryCodes;
use super::{Mfa, MfaError, Owner, store};
use crate::audit::Actor;
use crate::db::{Conn, DbError, DbResult};
use crate::mail::MfaChange;
use crate::tokens::opaque::{self, Purpose};
use crate::types::{Timestamp, UserId};

/// The number of digits of a code.
pub(super) const DIGITS: usize = 6;

/// The number of bytes of a secret: the length of a SHA-1 digest, as RFC 4226 §4 recommends.
const SECRET_BYTES: usize = 20;

/// The size of one module of the QR code, in pixels.
const MODULE_PIXELS: u32 = 4;

/// A new secret that was stored for an account.
pub(crate) struct NewTotpSecret {
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    account: String,
}

/// A new secret for an authenticator app, which is shown only once.
pub(crate) struct TotpEnrolment {
    /// The secret in Base32, for manual entry.
    pub secret: Zeroizing<String>,
    /// The secret as a URI, for apps on the same device.
    pub otpauth_uri: Zeroizing<String>,
    /// The same URI as a QR code in SVG, for apps on another device.
    pub qr_svg: Zeroizing<String>,
}

impl TotpEnrolment {
    fn new(secret: &[u8], issuer: &str, account: &str) -> DbResult<Self> {
        let unexpected = |error: &dyn std::error::Error| DbError::Unexpected(error.to_string());
        let builder = Builder::new().with_secret(secret.to_vec()).with_account_name(without_colons(account));
        let totp = builder.with_issuer(Some(issuer)).build().map_err(|error| unexpected(&error))?;
        let uri = Zeroizing::new(totp.to_url().map_err(|error| unexpected(&error))?);
        let qr = QrCode::new(uri.as_bytes()).map_err(|error| unexpected(&error))?;
        let image =
            Zeroizing::new(qr.render::<svg::Color<'_>>().module_dimensions(MODULE_PIXELS, MODULE_PIXELS).build());
        // SVG inside an HTML page must not have an XML declaration.
        let svg = image.find("<svg").and_then(|start| image.get(start..)).unwrap_or(&image);
        Ok(Self {
            secret: Zeroizing::new(totp.secret().to_base32()),
            qr_svg: Zeroizing::new(svg.to_owned()),
            otpauth_uri: uri,
        })
    }
}

/// Replaces colons, because they separate issuer and account in an otpauth URI.
pub(super) fn without_colons(text: &str) -> String {
    text.replace(':', "_")
}

/// Returns the time step of `code` if it is valid at `now`.
fn time_step(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let code: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !matches!(c, ' ' | '-')).collect());
    // Secrets of other systems may be shorter than RFC 4226 asks for.
    let totp: Totp = Builder::new().with_secret(secret.to_vec()).build_noncompliant();
    let step = totp.check(&code, u64::try_from(now.as_secs()).ok()?)?;
    i64::try_from(step).ok()
}

impl Mfa {
    /// Creates a secret for the account's app, which replaces an unconfirmed one. Two-step login is enabled when a code
    /// of it is confirmed.
    ///
    /// # Errors
    /// Two-step login is already enabled.
    pub(crate) fn enrol_totp(&self, conn: &mut Conn, owner: Owner<'_>) -> Result<NewTotpSecret, MfaError> {
        if store::is_enabled(conn, owner.id)? {
            return Err(MfaError::AlreadyEnabled);
        }
        let secret: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(self.random.bytes());
        let sealed = self.keys.seal.seal(secret.as_slice(), owner.id.0.as_bytes(), &self.random);
        store::replace_totp_secret(conn, owner.id, &sealed, self.clock.now())?;
        Ok(NewTotpSecret { secret, account: owner.email.to_owned() })
    }

    /// Returns a new secret in the forms that apps take. Drawing the QR code takes a while: do it after the
    /// transaction.
    pub(crate) fn show_totp(&self, new: &NewTotpSecret) -> DbResult<TotpEnrolment> {
        TotpEnrolment::new(new.secret.as_slice(), &self.keys.issuer, &new.account)
    }

    /// Finds the unconfirmed secret of an account.
    pub(crate) fn pending_totp(&self, conn: &mut Conn, owner: Owner<'_>) -> DbResult<Option<NewTotpSecret>> {
        let row = store::totp_secret(conn, owner.id)?.filter(|row| row.confirmed_at.is_none());
        let Some(row) = row else { return Ok(None) };
        let opened = self.open_secret(owner.id, &row.sealed_secret)?;
        let secret = <[u8; SECRET_BYTES]>::try_from(opened.as_slice());
        let secret = secret.map_err(|_| DbError::Unexpected("a TOTP secret has another length".to_owned()))?;
        Ok(Some(NewTotpSecret { secret: Zeroizing::new(secret), account: owner.email.to_owned() }))
    }

    /// Enables two-step login with a code of the unconfirmed secret, and notifies the owner. Returns the recovery
    /// codes.
    ///
    /// # Errors
    /// The code is wrong, there is no unconfirmed secret, or two-step login is already enabled.
    pub(crate) fn confirm_totp(
        &self,
        conn: &mut Conn,
        owner: Owner<'_>,
        code: &str,
        by: &Actor,
    ) -> Result<RecoveryCodes, MfaError> {
        let now = self.clock.now();
        let row = store::totp_secret(conn, owner.id)?.ok_or(MfaError::NotStarted)?;
        if row.confirmed_at.is_some() {
            return Err(MfaError::AlreadyEnabled);
        }
        let secret = self.open_secret(owner.id, &row.sealed_secret)?;
        let step = time_step(&secret, code, now).ok_or(MfaError::InvalidCode)?;
        store::confirm_totp_secret(conn, owner.id, step, now)?;
        let codes = self.generate_recovery_codes(conn, owner.id)?;
        self.notify(conn, owner, MfaChange::Enabled, by)?;
        Ok(codes)
    }

    /// Disables two-step login: deletes the secret, the recovery codes, challenges and trusted devices, and notifies
    /// the owner. An unconfirmed secret is deleted without a notice.
    ///
    /// # Errors
    /// Two-step login is not enabled, and there is no unconfirmed secret.
    pub(crate) fn disable(&self, conn: &mut Conn, owner: Owner<'_>, by: &Actor) -> Result<(), MfaError> {
        let was_enabled = store::delete(conn, owner.id)?.ok_or(MfaError::NotEnabled)?;
        opaque::revoke(conn, owner.id, &[Purpose::MfaChallenge, Purpose::TrustedDevice])?;
        if was_enabled {
            self.notify(conn, owner, MfaChange::Disabled, by)?;
        }
        Ok(())
    }

    /// Deletes all of an account's second factor, as [`Self::disable`] does, without a notice. Returns whether two-step
    /// login was enabled.
    pub(crate) fn discard(&self, conn: &mut Conn, user: UserId) -> DbResult<bool> {
        opaque::revoke(conn, user, &[Purpose::MfaChallenge, Purpose::TrustedDevice])?;
        Ok(store::delete(conn, user)? == Some(true))
    }

    /// Redeems a code of the account's app. Afterwards neither this code nor one of an earlier time step is accepted.
    /// Returns whether the code is valid.
    pub(super) fn redeem_totp(&self, conn: &mut Conn, user: UserId, code: &str) -> DbResult<bool> {
        let row = store::totp_secret(conn, user)?.filter(|row| row.confirmed_at.is_some());
        let Some(row) = row else { return Ok(false) };
        let secret = self.open_secret(user, &row.sealed_secret)?;
        match time_step(&secret, code, self.clock.now()) {
            Some(step) => store::use_totp_step(conn, user, &row.sealed_secret, step),
            None => Ok(false),
        }
    }

    /// Returns the secret of an account, confirmed or not.
    pub(super) fn secret_of(&self, conn: &mut Conn, user: UserId) -> DbResult<Option<Zeroizing<Vec<u8>>>> {
        let row = store::totp_secret(conn, user)?;
        row.map(|row| self.open_secret(user, &row.sealed_secret)).transpose()
    }

    fn open_secret(&self, user: UserId, sealed: &[u8]) -> DbResult<Zeroizing<Vec<u8>>> {
        let opened = self.keys.seal.open(sealed, user.0.as_bytes());
        opened.ok_or_else(|| DbError::Unexpected("a TOTP secret was encrypted under another JWT_SECRET".to_owned()))
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
            assert_eq!(time_step(SECRET, code, Timestamp::from_secs(seconds)), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_valid_for_its_step_and_one_to_either_side() {
        let step = 1_111_111_109 / 30;
        for (steps, is_valid) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let now = Timestamp::from_secs((step + steps) * 30);
            assert_eq!(time_step(SECRET, "081 804", now).is_some(), is_valid, "{steps}");
        }
    }

    #[test]
    fn a_text_that_is_no_code_is_not_valid() {
        for code in ["", "08180", "0818044", "+81804", "08180x", "٠٨١٨٠٤"] {
            assert_eq!(time_step(SECRET, code, Timestamp::from_secs(1_111_111_109)), None, "{code}");
        }
    }

    #[test]
    fn a_uri_names_the_issuer_and_the_account() {
        let enrolment = TotpEnrolment::new(SECRET, "auth.example", "ada:l@example.com").unwrap();
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
