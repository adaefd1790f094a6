//! What the script of these pages asks for: whether the session still lives, whether the list of sessions has changed,
//! and what a new password is worth. Asking for it is no use of the session.

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::refusal::weakness;
use super::reply::{Detour, Reply};
use super::sessions::{label, reason};
use super::visitor::{SentForm, Visitor, state};
use crate::accounts::Accounts;
use crate::http::Problem;
use crate::passwords::{NewPassword, NewPasswordError};
use crate::sessions::Session;
use crate::texts::Text;
use crate::throttle::{Limit, Throttle};

/// The sessions of the person who is logged in, as far as a script has to know.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LiveSessions {
    /// A text that changes when the list of sessions does.
    version: String,
}

/// A login that has ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EndedLogin {
    title: String,
    /// What has ended, when and why.
    text: String,
    /// The text of the link to the login.
    login: String,
}

/// Returns whether the list of sessions has changed, or that this one has ended.
#[utoipa::path(get, path = "/account/sessions/live", tag = "Pages", security(()), responses(
    (status = 200, body = LiveSessions),
    (status = 401, description = "The session has ended", body = EndedLogin)))]
pub(crate) async fn get_live_sessions(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let Some(own) = visitor.find_session().await? else {
            let ended = visitor.ended_session().await?;
            return Ok(Reply::Whole(HttpResponse::Unauthorized().json(told(&visitor, ended.as_ref()))));
        };
        let sessions = visitor.sessions.list(own.subject.id, true).await?;
        Ok(Reply::Whole(HttpResponse::Ok().json(LiveSessions { version: version(&sessions) })))
    };
    visitor.respond(answer.await)
}

fn told(visitor: &Visitor, ended: Option<&Session>) -> EndedLogin {
    let language = visitor.language();
    let text = ended.map_or_else(|| Text::of("ended-text-plain"), ended_text(visitor));
    EndedLogin {
        title: Text::of("ended-title").in_language(language),
        text: text.in_language(language),
        login: Text::of("ended-login").in_language(language),
    }
}

/// Returns what is said of a session of this browser that has ended.
pub(super) fn ended_text(visitor: &Visitor) -> impl Fn(&Session) -> Text + '_ {
    |session| {
        let language = visitor.language();
        let at = session.revoked_at.unwrap_or(session.expires_at);
        let why = reason(session.revoked_reason.as_deref()).in_language(language);
        Text::of("ended-text").with("session", label(session, language)).with_time("at", at).with("reason", why)
    }
}

/// Returns a digest of what the list shows.
pub(super) fn version(sessions: &[Session]) -> String {
    let mut shown = String::new();
    for session in sessions {
        let Session { id, name, last_active_at, expires_at, has_ended, amr, .. } = session;
        let _ = write!(shown, "{id} {name:?} {last_active_at} {expires_at} {has_ended} {amr:?};");
    }
    Sha256::digest(shown).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The fields of a new password.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct NewPasswordForm {
    new_password: String,
    /// What the guesser knows.
    email: Option<String>,
    name: Option<String>,
}

/// The judgement of a new password.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Judgement {
    is_accepted: bool,
    /// Why it is refused, or that it is not.
    text: String,
}

/// Judges a new password while it is typed. Nothing is stored.
#[utoipa::path(post, path = "/account/new-password", tag = "Pages", security(()),
    request_body(content = NewPasswordForm, content_type = "application/x-www-form-urlencoded"), responses(
    super::handlers::PeopleFormResponses, (status = 200, body = Judgement)))]
pub(crate) async fn judge_new_password(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        visitor.context.require_own_page(visitor.request())?;
        let throttle = state::<Throttle>(visitor.request())?;
        throttle.count_ip(Limit::SearchAccount, &visitor.requester()).await?;
        let personal = ["email", "name"].into_iter().filter_map(|field| form.get(field));
        let personal = personal.map(|text| text.to_string()).collect();
        let accounts = state::<Accounts>(visitor.request())?;
        let judged = match NewPassword::parse(form.get("new_password").unwrap_or_default()) {
            Ok(new) => accounts.judge_password(new, personal).await,
            Err(weak) => Err(weak.into()),
        };
        let sentences = match judged {
            Ok(()) => Vec::new(),
            Err(NewPasswordError::Weak(weak)) => weakness(&weak),
            Err(NewPasswordError::Hasher(error)) => return Err(Detour::from(Problem::from(error))),
        };
        let language = visitor.language();
        let is_accepted = sentences.is_empty();
        let sentences = if is_accepted { vec![Text::of("password-accepted")] } else { sentences };
        let text = sentences.iter().map(|text| text.in_language(language)).collect::<Vec<_>>().join(" ");
        let mut response = HttpResponse::build(StatusCode::OK);
        Ok(Reply::Whole(response.json(Judgement { is_accepted, text })))
    };
    visitor.respond(answer.await)
}
