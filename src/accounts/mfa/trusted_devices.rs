//! Devices that are trusted to log in with the password alone, for 30 days.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::store::{self, TrustedDeviceRow};
use super::token::{Kind, Token};
use crate::accounts::Accounts;
use crate::audit::{Actor, Event, Record};
use crate::clock::Timestamp;
use crate::db::types::{Address, Json, TrustedDeviceId, UserId};
use crate::db::{Conn, DbResult};
use crate::devices::Device;

/// How long a device is trusted.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A trusted device as its owner sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TrustedDevice {
    pub id: TrustedDeviceId,
    pub device: Device,
    #[schema(value_type = Option<String>)]
    pub ip_address: Option<IpAddr>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl From<TrustedDeviceRow> for TrustedDevice {
    fn from(row: TrustedDeviceRow) -> Self {
        let TrustedDeviceRow { id, device, location: _, ip, created_at, last_used_at, expires_at } = row;
        let device = Device::of(&device);
        Self { id, device, ip_address: ip.map(|ip| ip.0), created_at, last_used_at, expires_at }
    }
}

/// Whether the account trusts the device that has been given `token`.
pub(in crate::accounts) fn trusts(conn: &mut Conn, user: UserId, token: &Token, now: Timestamp) -> DbResult<bool> {
    store::trusts(conn, user, &token.digest(), now)
}

impl Accounts {
    /// Trusts the device that `owner` has just logged in from. Part of the caller's transaction.
    pub(super) fn trust_in(&self, conn: &mut Conn, user: UserId, owner: &Actor) -> DbResult<Token> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let token = Token::mint(Kind::TrustedDevice, &parts.random);
        let id = TrustedDeviceId(parts.random.id(now));
        let place = owner.client.address.and_then(|address| parts.devices.place(address));
        let row = TrustedDeviceRow {
            id,
            device: Json::from(&parts.devices.device(owner.client.user_agent.as_deref())),
            location: place.as_ref().map(Json::from),
            ip: owner.client.address.map(Address),
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(LIFETIME),
        };
        store::insert_device(conn, user, &token.digest(), &row)?;
        parts.audit.append(conn, &Record::new(Event::DeviceTrusted, owner).with("trusted_device", id.to_string()))?;
        Ok(token)
    }

    /// The account's trusted devices, newest first.
    pub async fn trusted_devices(&self, user: UserId) -> DbResult<Vec<TrustedDevice>> {
        let now = self.0.clock.now();
        let rows = self.0.db.read(move |conn| store::devices(conn, user, now)).await?;
        Ok(rows.into_iter().map(TrustedDevice::from).collect())
    }

    /// Forgets one of the account's trusted devices, or all. Answers how many there were.
    pub async fn forget_trusted_devices(
        &self,
        user: UserId,
        which: Option<TrustedDeviceId>,
        by: &Actor,
    ) -> DbResult<usize> {
        let (audit, by) = (self.0.audit.clone(), by.clone());
        let forgotten = self.0.db.write(move |conn| {
            let forgotten = store::delete_devices(conn, user, which)?;
            for id in &forgotten {
                let record = Record::new(Event::TrustedDeviceRemoved, &by).on(user);
                audit.append(conn, &record.with("trusted_device", id.to_string()))?;
            }
            Ok(forgotten.len())
        });
        forgotten.await
    }
}
