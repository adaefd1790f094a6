//! Authenticating again, within the form that needs it: what was typed there is sent once more together with password
//! and code.

use actix_web::ResponseError as _;
use actix_web::http::StatusCode;
use minijinja::context;

use super::refusal::reason;
use super::reply::{Detour, Reply, SessionCookie};
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

/// What the question says besides.
#[derive(Default)]
struct Refused {
    status: StatusCode,
    password: Option<Text>,
    code: Option<Text>,
    other: Option<Text>,
}

impl Visitor {
    /// Returns the session of the owner of an account who has sent a form, if they have authenticated within the last
    /// ten minutes, with the second factor if the account has one. Otherwise the form is kept and asks for that first.
    pub(crate) async fn recent(&self, form: &FormBody) -> Result<SessionSnapshot, Detour> {
        let own = self.owner(form).await?;
        let two_step = state::<TwoStep>(self.request())?;
        let needs_code = two_step.is_enabled(own.subject.id).await?;
        let since = self.context.clock.now().minus(RECENT_LOGIN);
        if own.authenticated_at >= since && (own.amr.has_second_factor() || !needs_code) {
            return Ok(own);
        }
        let Some(password) = form.get(PASSWORD) else {
            return Err(self.ask_again(form, &own, needs_code, Refused::default()).into());
        };
        // An empty field is none: the answer says that the code is missing.
        let code = form.get(CODE).filter(|code| !code.is_empty());
        let logins = state::<Logins>(self.request())?;
        let by = self.actor(&own);
        let user = own.subject.id;
        match logins.reauthenticate_browser(user, own.session, Password::parse(password).ok(), code, &by).await {
            Ok(cookie) => {
                let renewed = self.sessions.find_browser(&cookie.secret).await?;
                self.set_cookie(SessionCookie::Set(cookie, None));
                let (renewed, _) = renewed.ok_or_else(|| self.to_login())?;
                Ok(renewed)
            }
            Err(error) => {
                let refused = self.refused(error)?;
                Err(self.ask_again(form, &own, needs_code, refused).into())
            }
        }
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

    fn ask_again(&self, form: &FormBody, own: &SessionSnapshot, needs_code: bool, refused: Refused) -> Reply {
        let language = self.language();
        let said = |text: Option<Text>| text.map(|text| text.value(language));
        // The question has these itself.
        let fields = form.fields().filter(|(name, _)| !name.starts_with(PREFIX) && name != ACCOUNT);
        let fields = fields.map(|(name, value)| context! { name, value => value.as_str() });
        let values = context! {
            title => Text::of("confirm-title").value(language),
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
