//! Trusted devices, which log in without a second factor for 30 days.

use std::net::IpAddr;

use super::Mfa;
use super::store::{self, NewTrustedDevice, TrustedDeviceRow};
use crate::audit::{Actor, Event, Record};
use crate::db::types::{IpColumn, Json};
use crate::db::{Conn, DbResult};
use crate::devices::Device;
use crate::tokens::opaque::{self, IssuedToken, OpaqueToken, Purpose, TokenRecord};
use crate::types::{Timestamp, TrustedDeviceId, UserId};

/// A trusted device as shown to its owner.
pub(crate) struct TrustedDevice {
    /// The id.
    pub id: TrustedDeviceId,
    /// The device.
    pub device: Device,
    /// The IP address of the login that created it.
    pub ip: Option<IpAddr>,
    /// The time of that login.
    pub created_at: Timestamp,
    /// The time of the last login from it.
    pub last_used_at: Timestamp,
    /// The time until which it is trusted.
    pub expires_at: Timestamp,
}

impl From<TrustedDeviceRow> for TrustedDevice {
    fn from(row: TrustedDeviceRow) -> Self {
        let TrustedDeviceRow { id, device, ip, created_at, last_used_at, expires_at, .. } = row;
        Self { id, device: Device::from_column(&device), ip: ip.map(|ip| ip.0), created_at, last_used_at, expires_at }
    }
}

impl Mfa {
    /// Creates a trusted device for the device that `owner` has just logged in from, and returns its token.
    pub(crate) fn trust_device(&self, conn: &mut Conn, user: UserId, owner: &Actor) -> DbResult<OpaqueToken> {
        let now = self.clock.now();
        let record = TokenRecord { purpose: Purpose::TrustedDevice, user, session: None };
        let IssuedToken { token, .. } = opaque::issue(conn, record, &self.random, now)?;
        let id = TrustedDeviceId(self.random.id(now));
        let row = NewTrustedDevice {
            id,
            digest: token.digest(),
            device: Json::from(&self.devices.device(owner.requester.user_agent.as_deref())),
            ip: owner.requester.ip.map(IpColumn),
            last_used_at: now,
        };
        store::insert_trusted_device(conn, row)?;
        self.audit.append(conn, &Record::new(Event::DeviceTrusted, owner).with("trusted_device", id.to_string()))?;
        Ok(token)
    }

    /// Returns whether the account trusts the device with this token.
    pub(crate) fn is_trusted(&self, conn: &mut Conn, user: UserId, token: &OpaqueToken) -> DbResult<bool> {
        let found = opaque::find(conn, token, &[Purpose::TrustedDevice], self.clock.now())?;
        Ok(found.is_some_and(|record| record.user == user))
    }

    /// Records a login from a trusted device. Returns whether the account trusts it.
    pub(crate) fn use_trusted_device(&self, conn: &mut Conn, user: UserId, token: &OpaqueToken) -> DbResult<bool> {
        if !self.is_trusted(conn, user, token)? {
            return Ok(false);
        }
        store::touch_trusted_device(conn, &token.digest(), self.clock.now())?;
        Ok(true)
    }

    /// Lists the account's trusted devices, newest first.
    pub(crate) async fn trusted_devices(&self, user: UserId) -> DbResult<Vec<TrustedDevice>> {
        let now = self.clock.now();
        let rows = self.db.read(move |conn| store::trusted_devices(conn, user, now)).await?;
        Ok(rows.into_iter().map(TrustedDevice::from).collect())
    }

    /// Deletes one of the account's trusted devices, or all of them. Returns how many were deleted.
    pub(crate) fn delete_trusted_devices(
        &self,
        conn: &mut Conn,
        user: UserId,
        device: Option<TrustedDeviceId>,
        by: &Actor,
    ) -> DbResult<usize> {
        let mut deleted = 0_usize;
        for row in store::trusted_devices(conn, user, self.clock.now())? {
            let is_selected = device.is_none_or(|id| id == row.id);
            if !is_selected || !opaque::delete(conn, user, Purpose::TrustedDevice, &row.digest)? {
                continue;
            }
            deleted = deleted.saturating_add(1);
            let record = Record::new(Event::TrustedDeviceDeleted, by).on(user);
            self.audit.append(conn, &record.with("trusted_device", row.id.to_string()))?;
        }
        Ok(deleted)
    }
}
