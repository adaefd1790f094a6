//! Authenticating again, within the form that needs it: what was typed there is sent once more together with password
//! and code.

use actix_web::ResponseError as _;
use actix_web::http::StatusCode;
use minijinja::context;
use zeroize::Zeroizing;

use super::refusal::reason;
use super::reply::{Detour, Reply};
use super::visitor::{ACCOUNT, Visitor, state};
use crate::accounts::reauthentication::ReauthenticateError;
use crate::accounts::{Logins, RECENT_LOGIN, TwoStep};
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::passwords::Password;
use crate::sessions::SessionSnapshot;
use crate::texts::Text;

/// The fields of the question, which no other form has.
const PREFIX: &str = "confirm_";
const PASSWORD: &str = "confirm_password";
const CODE: &str = "confirm_code";
const RECOVERY_CODE: &str = "confirm_recovery_code";

/// Returns the code of a form that has a field for codes of an app and one for recovery codes. An empty field is none:
/// the answer says that the code is missing.
pub(super) fn second_factor(form: &FormBody, code: &str, recovery_code: &str) -> Option<Zeroizing<String>> {
    [code, recovery_code].into_iter().filter_map(|name| form.get(name)).find(|code| !code.trim().is_empty())
}

/// What the question says besides.
#[derive(Default)]
struct Refused {
    status: StatusCode,
    password: Option<Text>,
    code: Option<Text>,
    other: Option<Text>,
}

impl Visitor {
    /// Returns the session of the owner of an account who has sent a form, as [`Self::require_recent`] does.
    pub(crate) async fn recent(&self, form: &FormBody, act: Text) -> Result<SessionSnapshot, Detour> {
        let own = self.owner(form).await?;
        self.require_recent(form, own, act).await
    }

    /// Returns the session of the owner of an account who has sent a form, if they have authenticated within the last
    /// ten minutes, with the second factor if the account has one. Otherwise the form is kept, and a page that is
    /// headed by what is to be done asks for that first: call it after all else that can refuse the form.
    pub(super) async fn require_recent(
        &self,
        form: &FormBody,
        own: SessionSnapshot,
        act: Text,
    ) -> Result<SessionSnapshot, Detour> {
        let two_step = state::<TwoStep>(self.request())?;
        let needs_code = two_step.is_enabled(own.subject.id).await?;
        let since = self.context.clock.now().minus(RECENT_LOGIN);
        if own.authenticated_at >= since && (own.amr.has_second_factor() || !needs_code) {
            return Ok(own);
        }
        let Some(password) = form.get(PASSWORD) else {
            return Err(self.ask_again(form, &own, act, needs_code, Refused::default()).into());
        };
        let code = second_factor(form, CODE, RECOVERY_CODE);
        let logins = state::<Logins>(self.request())?;
        let by = self.actor(&own);
        let password = Password::parse(password).ok();
        match logins.reauthenticate_browser(&own, self.secret()?, password, code, &by).await {
            Ok((renewed, cookie)) => {
                self.renewed(cookie);
                Ok(renewed)
            }
            Err(error) => {
                let refused = self.refused(error)?;
                Err(self.ask_again(form, &own, act, needs_code, refused).into())
            }
        }
    }

    /// Returns whether a form comes from the page that has asked to authenticate again.
    pub(crate) fn has_confirmed(form: &FormBody) -> bool {
        form.get(PASSWORD).is_some()
    }

    /// Returns what the question says of an answer that was refused.
    fn refused(&self, error: ReauthenticateError) -> Result<Refused, Detour> {
        let status = StatusCode::UNAUTHORIZED;
        Ok(match error {
            ReauthenticateError::WrongPassword => {
                Refused { status, password: Some(Text::of("confirm-wrong")), ..Refused::default() }
            }
            ReauthenticateError::InvalidCode => {
                Refused { status, code: Some(Text::of("code-wrong")), ..Refused::default() }
            }
            ReauthenticateError::MfaRequired => {
                Refused { status, code: Some(Text::of("confirm-no-code")), ..Refused::default() }
            }
            ReauthenticateError::Ended => return Err(self.to_login().into()),
            other => {
                let problem = Problem::from(other);
                let status = problem.status_code();
                Refused { status, other: Some(reason(&problem, self.pages().site())), ..Refused::default() }
            }
        })
    }

    fn ask_again(
        &self,
        form: &FormBody,
        own: &SessionSnapshot,
        act: Text,
        needs_code: bool,
        refused: Refused,
    ) -> Reply {
        let language = self.language();
        let said = |text: Option<Text>| text.map(|text| text.value(language));
        // The question has these itself.
        let fields = form.fields().filter(|(name, _)| !name.starts_with(PREFIX) && name != ACCOUNT);
        let fields = fields.map(|(name, value)| context! { name, value => value.as_str() });
        let values = context! {
            title => act.value(language),
            action => self.request().path(),
            back => self.former_page(),
            fields => fields.collect::<Vec<_>>(),
            email => &own.subject.email,
            needs_code,
            error => said(refused.other),
            password_error => said(refused.password),
            code_error => said(refused.code),
        };
        Reply::refused(refused.status, "confirm.html", values)
    }
}
