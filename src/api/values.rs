//! The schemas of simple values, with the limits that their parsers apply.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::admin::MAX_HOURS;
use super::audit_export::Format;
use crate::accounts::AccountState;
use crate::admin::ImpersonationReason;
use crate::audit::{Event, Outcome};
use crate::http::pagination;
use crate::keys::KeyState;
use crate::passwords::{NewPassword, Password};
use crate::types::{
    Amr, Audiences, AuditId, ClientId, EmailAddress, Jti, KeyId, Label, Role, Roles, Scopes, SessionId, SessionKind,
    Timestamp, Transport, TrustedDeviceId, UserId,
};

/// The size of a page.
pub(super) struct PageSize;

/// The position at which a page begins.
pub(super) struct Cursor;

/// A number of hours that statistics cover.
pub(super) struct Hours;

/// A code of the second factor.
pub(super) struct Code;

/// Gives types a schema.
macro_rules! schemas {
    ($($type:ident = $schema:expr;)+) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }
        }
    )+};
}

schemas! {
    UserId = text().format(known(KnownFormat::Uuid));
    SessionId = text().format(known(KnownFormat::Uuid));
    KeyId = text().format(known(KnownFormat::Uuid));
    KeyState = choice(KeyState::ALL.map(KeyState::name));
    AuditId = text().format(known(KnownFormat::Uuid));
    ClientId = text().format(known(KnownFormat::Uuid));
    TrustedDeviceId = text().format(known(KnownFormat::Uuid));
    Jti = text().format(known(KnownFormat::Uuid));
    Timestamp = text().format(known(KnownFormat::DateTime));
    // Of addresses outside ASCII too, for which `email` has no place.
    EmailAddress = text().format(known(KnownFormat::IdnEmail)).max_length(Some(EmailAddress::MAX_BYTES));
    Label = text().min_length(Some(1)).max_length(Some(Label::MAX_CHARACTERS));
    Password = text().format(known(KnownFormat::Password)).max_length(Some(Password::MAX_BYTES));
    // The minimum has bytes, of which a character has four at the most.
    NewPassword = text()
        .format(known(KnownFormat::Password))
        .min_length(Some(Password::MIN_BYTES / 4))
        .max_length(Some(Password::MAX_BYTES))
        .description(Some("At least 8 bytes in UTF-8, and not easy to guess."));
    ImpersonationReason = text()
        .min_length(Some(ImpersonationReason::MIN))
        .max_length(Some(ImpersonationReason::MAX))
        .description(Some("What the owner of the account can read."));
    Code = text()
        .min_length(Some(1))
        .description(Some("Six digits of the app, or a recovery code. White space and hyphens do not count."));
    Roles = ArrayBuilder::new()
        .items(text().pattern(Some(Roles::PATTERN)).max_length(Some(Roles::MAX_BYTES)))
        .max_items(Some(Roles::MAX));
    Scopes = ArrayBuilder::new()
        .items(text().pattern(Some(Scopes::PATTERN)).max_length(Some(Scopes::MAX_BYTES)))
        .max_items(Some(Scopes::MAX));
    Audiences = ArrayBuilder::new()
        .items(text().pattern(Some(Scopes::PATTERN)).max_length(Some(Audiences::MAX_BYTES)))
        .max_items(Some(Audiences::MAX));
    Role = text().pattern(Some(Roles::PATTERN)).max_length(Some(Roles::MAX_BYTES));
    AccountState = choice(AccountState::ALL.map(AccountState::name));
    Amr = ArrayBuilder::new().items(text());
    SessionKind = choice([SessionKind::App, SessionKind::Browser].map(SessionKind::name));
    Transport = choice([Transport::Bearer, Transport::Cookie].map(Transport::name));
    Event = choice(Event::ALL.iter().map(|event| event.name()));
    Outcome = choice([Outcome::Success, Outcome::Failure].map(Outcome::name));
    Format = choice([Format::Csv, Format::Ndjson].map(Format::name));
    PageSize = number(pagination::MAX_LIMIT);
    Hours = number(MAX_HOURS);
    Cursor = text().max_length(Some(pagination::MAX_CURSOR));
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

const fn known(format: KnownFormat) -> Option<SchemaFormat> {
    Some(SchemaFormat::KnownFormat(format))
}

fn choice(values: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(values))
}

/// A number from one up.
fn number(maximum: impl Into<utoipa::Number>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(maximum))
}
