//! The JSON of accounts, sessions and devices.

use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::devices;
use crate::sessions::Subject;
use crate::types::{Amr, Roles, SessionId, SessionKind, Timestamp, UserId};

/// An account as its tokens describe it.
#[derive(Serialize, ToSchema)]
pub(super) struct User<'a> {
    id: UserId,
    email: &'a str,
    #[schema(required)]
    name: Option<&'a str>,
    roles: &'a Roles,
    /// Whether the email address is verified.
    email_verified: bool,
}

impl<'a> From<&'a Subject> for User<'a> {
    fn from(subject: &'a Subject) -> Self {
        let Subject { id, email, name, roles, email_verified } = subject;
        Self { id: *id, email, name: name.as_deref(), roles, email_verified: *email_verified }
    }
}

/// The device of a client, as far as its user agent tells.
#[derive(Serialize, ToSchema)]
pub(super) struct Device {
    /// `desktop`, `mobile`, `tablet`, `tv`, `console`, `bot`, `program` or `unknown`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Without a version: `Windows`, `macOS`, `iOS`, `Android`.
    #[schema(required)]
    os: Option<String>,
    /// The browser, or the program or app in its place, without a version: `Firefox`, `curl`.
    #[schema(required)]
    browser: Option<String>,
    /// A name for people: `Firefox on Windows`, `Safari on iPhone`, `curl`.
    label: String,
}

impl From<devices::Device> for Device {
    fn from(device: devices::Device) -> Self {
        let devices::Device { device_type, os, browser, label } = device;
        Self { kind: device_type.name(), os, browser, label }
    }
}

/// The place of an IP address.
#[derive(Serialize, ToSchema)]
pub(super) struct Location {
    /// The code of ISO 3166-1, two letters.
    #[schema(required)]
    country: Option<String>,
    /// In English, as is the city.
    #[schema(required)]
    country_name: Option<String>,
    #[schema(required)]
    city: Option<String>,
}

impl From<devices::Place> for Location {
    fn from(place: devices::Place) -> Self {
        Self { country: place.country, country_name: place.country_name, city: place.city }
    }
}

/// A session as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    id: SessionId,
    /// The name that its owner gave it.
    #[schema(required)]
    name: Option<String>,
    device: Device,
    #[schema(required, value_type = Option<String>)]
    ip_address: Option<IpAddr>,
    #[schema(required)]
    location: Option<Location>,
    created_at: Timestamp,
    last_active_at: Timestamp,
    expires_at: Timestamp,
    /// Whether it is the session that calls.
    is_current: bool,
    /// Whether it has ended: it expired or was revoked.
    is_expired: bool,
    #[schema(required)]
    revoked_at: Option<Timestamp>,
    #[schema(required)]
    revoked_reason: Option<String>,
    /// How its owner authenticated (RFC 8176).
    amr: Amr,
    /// The administrator who acts for the account in this session.
    #[schema(required)]
    impersonated_by: Option<UserId>,
    /// `app`, or `browser` for a login on this server's pages.
    kind: SessionKind,
    /// The session with which it ends.
    #[schema(required)]
    parent_id: Option<SessionId>,
    /// Whether its tokens are bound to a key of the client (RFC 9449).
    dpop: bool,
    /// The beginning of the refresh token's SHA-256, in hexadecimal digits.
    token_hint: String,
}

impl Session {
    /// Describes a session to a caller of `current`.
    pub(super) fn new(session: crate::sessions::Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            name: session.name,
            device: session.device.into(),
            ip_address: session.ip,
            location: session.place.map(Location::from),
            created_at: session.created_at,
            last_active_at: session.last_active_at,
            expires_at: session.expires_at,
            is_current: session.id == current,
            is_expired: session.has_ended,
            revoked_at: session.revoked_at,
            revoked_reason: session.revoked_reason,
            amr: session.amr,
            impersonated_by: session.impersonator,
            kind: session.kind,
            parent_id: session.parent,
            dpop: session.is_bound,
            token_hint: session.token_hint,
        }
    }
}

/// The sessions of an account, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    sessions: Vec<Session>,
    count: usize,
    active_count: usize,
}

impl SessionList {
    /// Describes sessions to a caller of `current`.
    pub(crate) fn new(sessions: Vec<crate::sessions::Session>, current: SessionId) -> Self {
        let sessions: Vec<Session> = sessions.into_iter().map(|session| Session::new(session, current)).collect();
        let active_count = sessions.iter().filter(|session| !session.is_expired).count();
        Self { count: sessions.len(), active_count, sessions }
    }
}

/// The number of sessions that were revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionsRevoked {
    pub sessions_revoked: usize,
}

/// The end of a page and the beginning of the next.
#[derive(Serialize, ToSchema)]
pub(super) struct Pagination {
    pub limit: usize,
    pub has_more: bool,
    /// `cursor` of the next page; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}
