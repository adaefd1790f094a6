//! `/api/v1/auth/me/export`: all that is stored about an account, for its owner.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::access::{By, ByRecentUser};
use super::admin::UserDetails;
use super::audit::AuditEntry;
use super::audit_export::{BATCH, Batches, Sender};
use super::mfa::TrustedDevice;
use super::schema::Session;
use crate::accounts::{Accounts, TwoStep};
use crate::audit::{Actor, Audit, Event, Filter, Record};
use crate::db::DbResult;
use crate::http::{HttpContext, Problem};
use crate::pages::account::ProfileForm;
use crate::pages::reply::Reply;
use crate::pages::visitor::{SentForm, Visitor};
use crate::sessions::Sessions;
use crate::types::{SessionId, Timestamp};

/// The end of the document, after the last entry.
const END: &str = "]}";

/// All that is stored about an account. There are no passwords, secrets or tokens in it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AccountExport {
    exported_at: Timestamp,
    account: UserDetails,
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
    accounts: web::Data<Accounts>,
    two_step: web::Data<TwoStep>,
    sessions: web::Data<Sessions>,
    audit: web::Data<Audit>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByRecentUser,
) -> Result<HttpResponse, Problem> {
    let stores = Stores { accounts, two_step, sessions, audit };
    export(&stores, caller.session(), &caller.actor(&context), context.clock.now()).await
}

/// Exports all that is stored about the account of the person who is logged in, as a file.
#[utoipa::path(post, path = "/account/export", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(crate::pages::handlers::PeopleFormResponses, (status = 200, body = AccountExport)))]
pub(super) async fn submit_export(
    accounts: web::Data<Accounts>,
    two_step: web::Data<TwoStep>,
    sessions: web::Data<Sessions>,
    audit: web::Data<Audit>,
    visitor: Visitor,
    form: SentForm,
) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.recent(&form).await?;
        let stores = Stores { accounts, two_step, sessions, audit };
        let file = export(&stores, own.session, &visitor.actor(&own), visitor.context.clock.now()).await?;
        Ok(Reply::Whole(file))
    };
    visitor.respond(answer.await)
}

/// Where what is stored about an account comes from.
struct Stores {
    accounts: web::Data<Accounts>,
    two_step: web::Data<TwoStep>,
    sessions: web::Data<Sessions>,
    audit: web::Data<Audit>,
}

/// Exports what is stored about the account of `by`, who calls in the session `own`.
async fn export(stores: &Stores, own: SessionId, by: &Actor, exported_at: Timestamp) -> Result<HttpResponse, Problem> {
    let Stores { accounts, two_step, sessions, audit } = stores;
    let user = by.user.ok_or_else(Problem::invalid_token)?;
    let account = accounts.find(user).await?.ok_or_else(Problem::invalid_token)?;
    let profile = accounts.profile(user).await?.ok_or_else(Problem::invalid_token)?;
    let all = sessions.list(user, true).await?;
    let trusted = two_step.mfa.trusted_devices(user).await?;
    audit.append_alone(Record::new(Event::AccountExported, by)).await?;
    let head = AccountExport {
        exported_at,
        account: account.into(),
        alerts: profile.alerts,
        mfa_enabled: profile.mfa_enabled,
        sessions: all.into_iter().map(|session| Session::new(session, own)).collect(),
        trusted_devices: trusted.into_iter().map(TrustedDevice::from).collect(),
        audit_events: Vec::new(),
    };
    let head = serde_json::to_string(&head).map_err(|error| Problem::internal(&error))?;
    let filter = Filter { user: Some(user), ..Filter::default() };
    let name = format!("account-{}.json", exported_at.to_string().replace(':', "-"));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(Batches::of(|batches| write_batches(Audit::clone(audit), filter, head, batches))))
}

/// Sends `head` with the entries of the audit log at its end, batch by batch.
async fn write_batches(audit: Audit, filter: Filter, head: String, batches: Sender) -> DbResult<()> {
    let mut text = head.strip_suffix(END).map(str::to_owned).unwrap_or(head);
    let mut after = None;
    let mut separator = "";
    loop {
        let page = audit.page(&filter, after, BATCH).await?;
        for entry in page.entries.into_iter().map(AuditEntry::from) {
            text.push_str(separator);
            text.push_str(&serde_json::to_string(&entry).unwrap_or_default());
            separator = ",";
        }
        after = page.next;
        if after.is_none() {
            text.push_str(END);
        }
        let is_taken = batches.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_ok();
        if after.is_none() || !is_taken {
            return Ok(());
        }
    }
}
