//! Registers, lists and changes clients for operators.

use std::time::Duration;

use super::{Admin, AdminError, Operator, lock_caller};
use crate::audit::{Event, Record};
use crate::clients::{Client, ClientChange, ClientSecret, LockedClient, NewClient};
use crate::db::{Conn, DbResult};
use crate::types::{Algorithm, ClientId, Timestamp};

/// A secret that was issued, with its client. It is shown this once.
pub(crate) struct IssuedSecret {
    /// The client with all its secrets.
    pub client: Client,
    /// The number of the secret.
    pub number: i32,
    /// The secret.
    pub secret: ClientSecret,
}

/// The secrets that end when another is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// None: a client with two secrets gets no third one.
    Nothing,
    /// The older one of two.
    Oldest,
    /// All.
    All,
}

impl Admin {
    /// Registers a client with a first secret.
    ///
    /// # Errors
    /// The lifetime of its access tokens is longer than the server's, the server does not sign with their algorithm, or
    /// the caller is no administrator.
    pub(crate) async fn create_client(&self, new: NewClient, by: &Operator) -> Result<IssuedSecret, AdminError> {
        self.check_lifetime(new.access_token_ttl)?;
        self.check_algorithm(new.signing_algorithm)?;
        let now = self.clock.now();
        let id = ClientId(self.random.id(now));
        let admin = self.clone();
        let by = by.clone();
        let created = self.db.transact(move |conn| {
            lock_caller(conn, &by)?;
            let client = LockedClient::insert(conn, registered(id, new, now))?;
            admin.record(conn, Event::ClientCreated, &client, None, &by)?;
            admin.issue_secret(conn, client, now)
        });
        created.await
    }

    /// Finds a client.
    pub(crate) async fn client(&self, id: ClientId) -> DbResult<Option<Client>> {
        self.clients.find(id).await
    }

    /// Lists up to `limit` clients after `after`, in the order of their registration.
    pub(crate) async fn list_clients(&self, after: Option<ClientId>, limit: usize) -> DbResult<Vec<Client>> {
        self.clients.list(after, limit).await
    }

    /// Changes a client. On this server it takes effect at the next request, on others within two seconds.
    ///
    /// # Errors
    /// The client does not exist, the lifetime of its access tokens is longer than the server's, the server does not
    /// sign with their algorithm, or the caller is no administrator.
    pub(crate) async fn update_client(
        &self,
        id: ClientId,
        change: ClientChange,
        by: &Operator,
    ) -> Result<Client, AdminError> {
        self.check_lifetime(change.access_token_ttl.clone().changed().flatten())?;
        self.check_algorithm(change.signing_algorithm.clone().changed().flatten())?;
        let now = self.clock.now();
        let admin = self.clone();
        let change_client = move |conn: &mut Conn, mut client: LockedClient, by: &Operator| {
            client.update(conn, change, now)?;
            admin.record(conn, Event::ClientChanged, &client, None, by)?;
            Ok(client.into_client())
        };
        self.with_client(id, by, change_client).await
    }

    /// Deletes a client with its secrets, and revokes its access tokens, also those of people that it got in exchange.
    ///
    /// # Errors
    /// The client does not exist, or the caller is no administrator.
    pub(crate) async fn delete_client(&self, id: ClientId, by: &Operator) -> Result<(), AdminError> {
        let admin = self.clone();
        let delete = move |conn: &mut Conn, client: LockedClient, by: &Operator| {
            admin.record(conn, Event::ClientDeleted, &client, None, by)?;
            client.delete(conn)?;
            Ok(admin.sessions.revoke_tokens_of_client(conn, id)?)
        };
        let revoked = self.with_client(id, by, delete).await?;
        self.sessions.publish(&revoked).await;
        Ok(())
    }

    /// Issues another secret of a client, and deletes those that it replaces.
    ///
    /// # Errors
    /// The client does not exist, or has two secrets of which none is replaced, or the caller is no administrator.
    pub(crate) async fn add_client_secret(
        &self,
        id: ClientId,
        replaced: Replaced,
        by: &Operator,
    ) -> Result<IssuedSecret, AdminError> {
        let now = self.clock.now();
        let admin = self.clone();
        let add = move |conn: &mut Conn, mut client: LockedClient, by: &Operator| {
            let former: Vec<i32> = client.secrets.iter().map(|secret| secret.number).collect();
            let ended = match (replaced, former.as_slice()) {
                (Replaced::Nothing, _) | (Replaced::Oldest, [] | [_]) => &[],
                (Replaced::Oldest, [oldest, ..]) => std::slice::from_ref(oldest),
                (Replaced::All, all) => all,
            };
            for number in ended {
                client.delete_secret(conn, *number)?;
                admin.record(conn, Event::ClientSecretDeleted, &client, Some(*number), by)?;
            }
            let issued = admin.issue_secret(conn, client, now)?;
            admin.record(conn, Event::ClientSecretAdded, &issued.client, Some(issued.number), by)?;
            Ok(issued)
        };
        self.with_client(id, by, add).await
    }

    /// Deletes a secret of a client.
    ///
    /// # Errors
    /// The client or the secret does not exist, or the caller is no administrator.
    pub(crate) async fn delete_client_secret(
        &self,
        id: ClientId,
        number: i32,
        by: &Operator,
    ) -> Result<(), AdminError> {
        let admin = self.clone();
        let delete = move |conn: &mut Conn, mut client: LockedClient, by: &Operator| {
            if !client.delete_secret(conn, number)? {
                return Err(AdminError::NoClient);
            }
            Ok(admin.record(conn, Event::ClientSecretDeleted, &client, Some(number), by)?)
        };
        self.with_client(id, by, delete).await
    }

    /// Runs `work` on a locked client in one transaction, and forgets afterwards what this server remembers of it.
    async fn with_client<T: Send + 'static>(
        &self,
        id: ClientId,
        by: &Operator,
        work: impl FnOnce(&mut Conn, LockedClient, &Operator) -> Result<T, AdminError> + Send + 'static,
    ) -> Result<T, AdminError> {
        let by = by.clone();
        let outcome = self.db.transact(move |conn| {
            lock_caller(conn, &by)?;
            let client = LockedClient::lock(conn, id)?.ok_or(AdminError::NoClient)?;
            work(conn, client, &by)
        });
        let outcome = outcome.await;
        // Also after an error: the transaction may have been committed.
        self.clients.forget(id);
        outcome
    }

    fn issue_secret(
        &self,
        conn: &mut Conn,
        mut client: LockedClient,
        now: Timestamp,
    ) -> Result<IssuedSecret, AdminError> {
        let secret = ClientSecret::generate(&self.random);
        let number = client.add_secret(conn, secret.digest(), now)?.ok_or(AdminError::TooManySecrets)?;
        Ok(IssuedSecret { client: client.into_client(), number, secret })
    }

    fn check_lifetime(&self, ttl: Option<Duration>) -> Result<(), AdminError> {
        let longest = self.sessions.policy.access_token_ttl;
        match ttl {
            Some(ttl) if ttl.is_zero() || ttl > longest => Err(AdminError::Lifetime { longest }),
            Some(_) | None => Ok(()),
        }
    }

    fn check_algorithm(&self, algorithm: Option<Algorithm>) -> Result<(), AdminError> {
        let offered = self.sessions.key_ring.configured();
        match algorithm {
            Some(algorithm) if !offered.contains(&algorithm) => {
                let offered = offered.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ");
                Err(AdminError::Algorithm { offered })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn record(
        &self,
        conn: &mut Conn,
        event: Event,
        client: &Client,
        secret: Option<i32>,
        by: &Operator,
    ) -> DbResult<()> {
        let record = Record::new(event, &by.actor()).with("client", client.id.to_string());
        let record = record.with("name", client.name.clone());
        let record = match secret {
            Some(number) => record.with("secret", number),
            None => record,
        };
        self.audit.append(conn, &record)
    }
}

/// Returns a new client without secrets.
fn registered(id: ClientId, new: NewClient, now: Timestamp) -> Client {
    Client {
        id,
        name: new.name.into_string(),
        scopes: new.scopes,
        audiences: new.audiences,
        access_token_ttl: new.access_token_ttl,
        signing_algorithm: new.signing_algorithm,
        secrets_issued: 0,
        created_at: now,
        disabled_at: None,
        last_used_at: None,
        secrets: Vec::new(),
    }
}
