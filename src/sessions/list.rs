//! Sessions as their owner sees them.

use std::net::IpAddr;

use serde::Serialize;

use super::Sessions;
use super::store::{self, SessionRow};
use crate::audit::{Actor, Event, Record};
use crate::clock::Timestamp;
use crate::db::DbResult;
use crate::db::types::{Names, SessionId, UserId};
use crate::devices::{Device, Devices, Place};

/// Bytes of the digest whose hexadecimal form identifies a token to its owner.
const HINT_BYTES: usize = 4;

/// One session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionView {
    pub id: SessionId,
    /// As its owner named it.
    pub name: Option<String>,
    pub device: Device,
    #[schema(value_type = Option<String>)]
    pub ip_address: Option<IpAddr>,
    pub location: Option<Location>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_active_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    pub is_current: bool,
    /// Whether it has ended, by itself or because somebody ended it.
    pub is_expired: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    /// How its owner logged in (RFC 8176).
    pub amr: Names,
    /// The operator who acts for the account in this session.
    pub impersonated_by: Option<UserId>,
    /// The beginning of the refresh token's SHA-256.
    pub token_hint: String,
}

/// Where an address is.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Location {
    /// The code of ISO 3166-1, two letters.
    pub country: Option<String>,
    /// In English, as is the city.
    pub country_name: Option<String>,
    pub city: Option<String>,
}

impl From<Place> for Location {
    fn from(place: Place) -> Self {
        Self { country: place.country, country_name: place.country_name, city: place.city }
    }
}

impl SessionView {
    fn of(row: SessionRow, current: SessionId, devices: &Devices, now: Timestamp) -> Self {
        let address = row.ip.map(|address| address.0);
        let expires_at = row.expires_at.min(row.ends_at);
        Self {
            id: row.id,
            name: row.name,
            device: Device::of(&row.device),
            ip_address: address,
            // Of this address, which a refresh may have brought; the row keeps where the login was made.
            location: address.and_then(|address| devices.place(address)).map(Location::from),
            created_at: row.created_at,
            last_active_at: row.last_active_at,
            expires_at,
            is_current: row.id == current,
            is_expired: row.revoked_at.is_some() || now >= expires_at,
            revoked_at: row.revoked_at,
            revoked_reason: row.revoked_reason,
            amr: row.amr,
            impersonated_by: row.actor_id,
            token_hint: row.token_digest.iter().take(HINT_BYTES).map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl Sessions {
    /// The sessions of `user`, newest first; with those that have ended if `include_expired`.
    pub async fn list(&self, user: UserId, current: SessionId, include_expired: bool) -> DbResult<Vec<SessionView>> {
        let now = self.0.clock.now();
        let rows = self.0.db.read(move |conn| store::of_user(conn, user, include_expired, now)).await?;
        Ok(rows.into_iter().map(|row| SessionView::of(row, current, &self.0.devices, now)).collect())
    }

    /// One session of `user`; `None` when the account has no such one.
    pub async fn find(&self, session: SessionId, user: UserId, current: SessionId) -> DbResult<Option<SessionView>> {
        let now = self.0.clock.now();
        let row = self.0.db.read(move |conn| store::one_of_user(conn, session, user)).await?;
        Ok(row.map(|row| SessionView::of(row, current, &self.0.devices, now)))
    }

    /// Names a session of `user`, or takes its name away. `None` when the account has no such session.
    pub async fn rename(
        &self,
        session: SessionId,
        name: Option<String>,
        user: UserId,
        by: &Actor,
    ) -> DbResult<Option<SessionView>> {
        let (audit, current) = (self.0.audit.clone(), by.session.unwrap_or(session));
        let record = Record::new(Event::SessionRenamed, by).on(user).session(session);
        let renamed = self.0.db.write(move |conn| {
            if !store::rename(conn, session, user, name.as_deref())? {
                return Ok(false);
            }
            audit.append(conn, &record).map(|()| true)
        });
        if renamed.await? { self.find(session, user, current).await } else { Ok(None) }
    }

    /// Whether there is such a session, live or not, whoever owns it.
    pub async fn exists(&self, session: SessionId) -> DbResult<bool> {
        self.0.db.read(move |conn| store::exists(conn, session)).await
    }

    /// How many sessions are live on all servers.
    pub async fn count_live(&self) -> DbResult<i64> {
        let now = self.0.clock.now();
        self.0.db.read(move |conn| store::count_live(conn, now)).await
    }
}
