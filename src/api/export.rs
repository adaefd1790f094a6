//! `/api/v1/auth/me/export` and `keyturn user export`: all that is stored about an account, for its owner.

use std::error::Error;
use std::future::{Ready, ready};
use std::io::Write;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde::Serialize;
use uuid::Uuid;

use super::access::{By, ByRecentUser};
use super::admin::UserDetails;
use super::audit::AuditEntry;
use super::audit_export::{BATCH, Batches, Sender};
use super::mfa::TrustedDevice;
use super::schema::Session;
use crate::accounts::{Accounts, EmailChanges, TwoStep};
use crate::audit::{Actor, Audit, Event, Filter, Record};
use crate::db::DbResult;
use crate::http::{HttpContext, Problem};
use crate::pages::account::{self, ProfileForm};
use crate::pages::reply::Reply;
use crate::pages::visitor::{SentForm, Visitor};
use crate::sessions::Sessions;
use crate::texts::Text;
use crate::types::{AuditId, SessionId, Timestamp, UserId};

/// The end of the document, after the last entry.
const END: &str = "]}";

/// All that is stored about an account. There are no passwords, secrets or tokens in it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AccountExport {
    exported_at: Timestamp,
    account: UserDetails,
    /// The email address that the account is to change to, while both addresses have to confirm it.
    #[schema(required)]
    pending_email: Option<String>,
    /// Whether emails tell of unusual logins.
    alerts: bool,
    /// Whether logins need a second factor.
    mfa_enabled: bool,
    /// All sessions, with those that have ended.
    sessions: Vec<Session>,
    trusted_devices: Vec<TrustedDevice>,
    /// The audit log of the account, newest first.
    audit_events: Vec<AuditEntry>,
}

/// Exports all that is stored about the account that calls, as a file. Needs a recent login with the second factor, and
/// is audited.
#[utoipa::path(get, path = "/api/v1/auth/me/export", tag = "Accounts",
    responses((status = 200, body = AccountExport)))]
pub(super) async fn export_me(
    stores: Stores,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByRecentUser,
) -> Result<HttpResponse, Problem> {
    export(stores, caller.session(), &caller.actor(&context), context.clock.now()).await
}

/// Exports all that is stored about the account of the person who is logged in, as a file.
#[utoipa::path(post, path = "/account/export", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(crate::pages::handlers::PeopleFormResponses, (status = 200, body = AccountExport)))]
pub(super) async fn submit_export(stores: Stores, visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.recent(&form, Text::of("data-export")).await?;
        // A browser that is sent a file stays on the page that it came from, here the question.
        if Visitor::has_confirmed(&form) {
            return Ok(account::ask_to_download(&visitor));
        }
        let file = export(stores, own.session, &visitor.actor(&own), visitor.context.clock.now()).await?;
        Ok(Reply::Whole(file))
    };
    visitor.respond(answer.await)
}

/// The rooms that store something about an account.
#[derive(Clone)]
pub(crate) struct Stores {
    pub accounts: Accounts,
    pub two_step: TwoStep,
    pub email_changes: EmailChanges,
    pub sessions: Sessions,
    pub audit: Audit,
}

impl FromRequest for Stores {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        fn part<T: Clone + 'static>(request: &HttpRequest) -> Result<T, Problem> {
            let part = request.app_data::<web::Data<T>>().map(|part| T::clone(part));
            part.ok_or_else(|| Problem::internal(&"the state of exports is incomplete"))
        }
        let stores = || {
            Ok(Self {
                accounts: part(request)?,
                two_step: part(request)?,
                email_changes: part(request)?,
                sessions: part(request)?,
                audit: part(request)?,
            })
        };
        ready(stores())
    }
}

impl Stores {
    /// Reads all that is stored about an account but its audit log, and records the export by `by`. `own` is the
    /// session that asks for it. Returns `None` if the account does not exist.
    async fn begin(
        &self,
        user: UserId,
        own: SessionId,
        by: &Actor,
        exported_at: Timestamp,
    ) -> DbResult<Option<AccountExport>> {
        let Some(account) = self.accounts.find(user).await? else { return Ok(None) };
        let Some(profile) = self.accounts.profile(user).await? else { return Ok(None) };
        let pending_email = self.email_changes.pending(user).await?;
        let all = self.sessions.list(user, true).await?;
        let trusted = self.two_step.mfa.trusted_devices(user).await?;
        self.audit.append_alone(Record::new(Event::AccountExported, by).on(user)).await?;
        Ok(Some(AccountExport {
            exported_at,
            account: account.into(),
            pending_email,
            alerts: profile.alerts,
            mfa_enabled: profile.mfa_enabled,
            sessions: all.into_iter().map(|session| Session::new(session, own)).collect(),
            trusted_devices: trusted.into_iter().map(TrustedDevice::from).collect(),
            audit_events: Vec::new(),
        }))
    }

    /// Writes all that is stored about an account for an operator, as one line of JSON. Returns whether the account
    /// exists.
    ///
    /// # Errors
    /// The database fails, or nobody takes the file.
    pub(crate) async fn write(
        &self,
        user: UserId,
        exported_at: Timestamp,
        output: &mut impl Write,
    ) -> Result<bool, Box<dyn Error>> {
        let own = SessionId(Uuid::nil());
        let Some(head) = self.begin(user, own, &Actor::default(), exported_at).await? else { return Ok(false) };
        let mut events = Events::new(user, serde_json::to_string(&head)?);
        while let Some(text) = events.next(&self.audit).await? {
            output.write_all(text.as_bytes())?;
        }
        output.write_all(b"\n")?;
        output.flush()?;
        Ok(true)
    }
}

/// Exports what is stored about the account of `by`, who calls in the session `own`.
async fn export(stores: Stores, own: SessionId, by: &Actor, exported_at: Timestamp) -> Result<HttpResponse, Problem> {
    let user = by.user.ok_or_else(Problem::invalid_token)?;
    let head = stores.begin(user, own, by, exported_at).await?.ok_or_else(Problem::invalid_token)?;
    let head = serde_json::to_string(&head).map_err(|error| Problem::internal(&error))?;
    let name = format!("account-{}.json", exported_at.to_string().replace(':', "-"));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(Batches::of(move |batches| write_batches(stores.audit, Events::new(user, head), batches))))
}

/// Sends a document batch by batch.
async fn write_batches(audit: Audit, mut events: Events, batches: Sender) -> DbResult<()> {
    while let Some(text) = events.next(&audit).await? {
        if batches.send(Ok(Bytes::from(text))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The audit log of an account at the end of a document, read page by page.
struct Events {
    filter: Filter,
    /// The text before the next page; `None` after the last one.
    text: Option<String>,
    after: Option<AuditId>,
    separator: &'static str,
}

impl Events {
    /// Begins with the document without its entries.
    fn new(user: UserId, head: String) -> Self {
        let text = head.strip_suffix(END).map(str::to_owned).unwrap_or(head);
        let filter = Filter { user: Some(user), ..Filter::default() };
        Self { filter, text: Some(text), after: None, separator: "" }
    }

    /// Returns the next part of the document, or `None` after the end.
    async fn next(&mut self, audit: &Audit) -> DbResult<Option<String>> {
        let Some(mut text) = self.text.take() else { return Ok(None) };
        let page = audit.page(&self.filter, self.after, BATCH).await?;
        for entry in page.entries.into_iter().map(AuditEntry::from) {
            text.push_str(self.separator);
            text.push_str(&serde_json::to_string(&entry).unwrap_or_default());
            self.separator = ",";
        }
        self.after = page.next;
        match self.after {
            Some(_) => self.text = Some(String::new()),
            None => text.push_str(END),
        }
        Ok(Some(text))
    }
}
