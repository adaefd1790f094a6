//! Registered clients as rows.

use std::ops::Deref;
use std::time::Duration;

use diesel::prelude::*;

use super::secret::SecretDigest;
use super::{Client, ClientChange, MAX_SECRETS, StoredSecret};
use crate::db::schema::{client_secrets, clients};
use crate::db::{Conn, DbResult};
use crate::types::{Algorithm, Audiences, ClientId, Label, Scopes, Timestamp};

/// The row of a client.
#[derive(Queryable, Insertable)]
#[diesel(table_name = clients)]
struct ClientRow {
    id: ClientId,
    name: String,
    scopes: Scopes,
    audiences: Audiences,
    access_token_ttl: Option<i32>,
    signing_algorithm: Option<String>,
    secrets_issued: i32,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl ClientRow {
    fn with(self, secrets: Vec<StoredSecret>) -> Client {
        let Self { id, name, scopes, audiences, secrets_issued, created_at, disabled_at, last_used_at, .. } = self;
        let access_token_ttl = self.access_token_ttl.and_then(|secs| u64::try_from(secs).ok()).map(Duration::from_secs);
        Client {
            id,
            name,
            scopes,
            audiences,
            access_token_ttl,
            signing_algorithm: self.signing_algorithm.as_deref().and_then(Algorithm::parse),
            secrets_issued,
            created_at,
            disabled_at,
            last_used_at,
            secrets,
        }
    }
}

fn seconds(duration: Option<Duration>) -> Option<i32> {
    duration.map(|duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX))
}

fn name(algorithm: Option<Algorithm>) -> Option<String> {
    algorithm.map(|algorithm| algorithm.name().to_owned())
}

/// A client whose row is locked by the caller's transaction until it ends. Operations on one client are serialized by
/// this lock.
pub(crate) struct LockedClient {
    client: Client,
}

impl Deref for LockedClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl LockedClient {
    /// Inserts a client without secrets.
    pub(crate) fn insert(conn: &mut Conn, client: Client) -> DbResult<Self> {
        let row = ClientRow {
            id: client.id,
            name: client.name.clone(),
            scopes: client.scopes.clone(),
            audiences: client.audiences.clone(),
            access_token_ttl: seconds(client.access_token_ttl),
            signing_algorithm: name(client.signing_algorithm),
            secrets_issued: client.secrets_issued,
            created_at: client.created_at,
            disabled_at: client.disabled_at,
            last_used_at: client.last_used_at,
        };
        diesel::insert_into(clients::table).values(row).execute(conn)?;
        Ok(Self { client })
    }

    /// Locks a client. Returns `None` if it does not exist.
    pub(crate) fn lock(conn: &mut Conn, id: ClientId) -> DbResult<Option<Self>> {
        let own = clients::table.filter(clients::id.eq(id));
        let locked = diesel::update(own).set(clients::secrets_issued.eq(clients::secrets_issued));
        let rows: Vec<ClientRow> = locked.returning(clients::all_columns).get_results(conn)?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let secrets = secrets(conn, &[id])?.into_iter().map(|(_, secret)| secret).collect();
        Ok(Some(Self { client: row.with(secrets) }))
    }

    /// Changes what `change` names.
    pub(crate) fn update(&mut self, conn: &mut Conn, change: ClientChange, now: Timestamp) -> DbResult<()> {
        let client = &mut self.client;
        if let Some(name) = change.name.map(Label::into_string) {
            client.name = name;
        }
        if let Some(scopes) = change.scopes {
            client.scopes = scopes;
        }
        if let Some(audiences) = change.audiences {
            client.audiences = audiences;
        }
        if let Some(ttl) = change.access_token_ttl.changed() {
            client.access_token_ttl = ttl;
        }
        if let Some(algorithm) = change.signing_algorithm.changed() {
            client.signing_algorithm = algorithm;
        }
        match change.disabled {
            Some(true) => client.disabled_at = client.disabled_at.or(Some(now)),
            Some(false) => client.disabled_at = None,
            None => {}
        }
        let values = (
            clients::name.eq(&client.name),
            clients::scopes.eq(&client.scopes),
            clients::audiences.eq(&client.audiences),
            clients::access_token_ttl.eq(seconds(client.access_token_ttl)),
            clients::signing_algorithm.eq(name(client.signing_algorithm)),
            clients::disabled_at.eq(client.disabled_at),
        );
        diesel::update(clients::table.find(client.id)).set(values).execute(conn)?;
        Ok(())
    }

    /// Adds a secret. Returns its number, or `None` if the client has two already.
    pub(crate) fn add_secret(
        &mut self,
        conn: &mut Conn,
        digest: SecretDigest,
        now: Timestamp,
    ) -> DbResult<Option<i32>> {
        if self.client.secrets.len() >= MAX_SECRETS {
            return Ok(None);
        }
        let number = self.client.secrets_issued.saturating_add(1);
        self.client.secrets_issued = number;
        let issued = clients::secrets_issued.eq(number);
        diesel::update(clients::table.find(self.client.id)).set(issued).execute(conn)?;
        let values = (
            client_secrets::client_id.eq(self.client.id),
            client_secrets::number.eq(number),
            client_secrets::digest.eq(digest.as_bytes()),
            client_secrets::created_at.eq(now),
        );
        diesel::insert_into(client_secrets::table).values(values).execute(conn)?;
        self.client.secrets.push(StoredSecret { number, created_at: now, digest });
        Ok(Some(number))
    }

    /// Deletes a secret. Returns whether there was one with this number.
    pub(crate) fn delete_secret(&mut self, conn: &mut Conn, number: i32) -> DbResult<bool> {
        self.client.secrets.retain(|secret| secret.number != number);
        let own = client_secrets::table.find((self.client.id, number));
        Ok(diesel::delete(own).execute(conn)? == 1)
    }

    /// Deletes the client with its secrets.
    pub(crate) fn delete(self, conn: &mut Conn) -> DbResult<()> {
        diesel::delete(clients::table.find(self.client.id)).execute(conn)?;
        Ok(())
    }

    /// Returns the client.
    pub(crate) fn into_client(self) -> Client {
        self.client
    }
}

/// Finds a client.
pub(super) fn find(conn: &mut Conn, id: ClientId) -> DbResult<Option<Client>> {
    let row: Option<ClientRow> = clients::table.find(id).first(conn).optional()?;
    let Some(row) = row else { return Ok(None) };
    let secrets = secrets(conn, &[id])?.into_iter().map(|(_, secret)| secret).collect();
    Ok(Some(row.with(secrets)))
}

/// Finds up to `limit` clients after `after` in the order of ids.
pub(super) fn list(conn: &mut Conn, after: Option<ClientId>, limit: i64) -> DbResult<Vec<Client>> {
    let mut page = clients::table.order(clients::id).limit(limit).into_boxed();
    if let Some(after) = after {
        page = page.filter(clients::id.gt(after));
    }
    let rows: Vec<ClientRow> = page.load(conn)?;
    let ids: Vec<ClientId> = rows.iter().map(|row| row.id).collect();
    let secrets = secrets(conn, &ids)?;
    let of =
        |id: ClientId| secrets.iter().filter(|(owner, _)| *owner == id).map(|(_, secret)| secret.clone()).collect();
    Ok(rows
        .into_iter()
        .map(|row| {
            let own = of(row.id);
            row.with(own)
        })
        .collect())
}

/// Finds the secrets of clients, oldest first.
fn secrets(conn: &mut Conn, ids: &[ClientId]) -> DbResult<Vec<(ClientId, StoredSecret)>> {
    let own = client_secrets::table.filter(client_secrets::client_id.eq_any(ids.to_vec()));
    let rows: Vec<(ClientId, i32, Vec<u8>, Timestamp)> = own.order(client_secrets::number).load(conn)?;
    let secret = |(id, number, digest, created_at)| {
        (id, StoredSecret { number, created_at, digest: SecretDigest::of_row(digest) })
    };
    Ok(rows.into_iter().map(secret).collect())
}

/// Notes the use of a client, unless it was noted after `before`.
pub(super) fn note_use(conn: &mut Conn, id: ClientId, now: Timestamp, before: Timestamp) -> DbResult<()> {
    let is_due = clients::last_used_at.is_null().or(clients::last_used_at.le(before));
    let own = clients::table.filter(clients::id.eq(id)).filter(is_due);
    diesel::update(own).set(clients::last_used_at.eq(now)).execute(conn)?;
    Ok(())
}
