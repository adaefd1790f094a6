//! Registered clients (RFC 6749 §2): resource servers and services that call this server on their own behalf. Each has
//! a name, scopes, audiences and up to two secrets.

mod memory;
mod secret;
mod store;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{Db, DbError, DbResult};
use crate::types::{Algorithm, Audiences, ClientId, Label, Patch, Scopes, Timestamp};

pub(crate) use secret::ClientSecret;
use secret::SecretDigest;
pub(crate) use store::LockedClient;

use memory::Memory;

/// The scope of clients that may ask whether tokens are valid.
pub(crate) const INTROSPECT: &str = "introspect";

/// The scope of clients that may follow the revocations.
pub(crate) const REVOCATIONS: &str = "revocations";

/// The scope of clients that may exchange tokens for others.
pub(crate) const TOKEN_EXCHANGE: &str = "token-exchange";

/// The scopes that mean something to this server. All others mean something to the audiences of tokens.
pub(crate) const OWN_SCOPES: [&str; 3] = [INTROSPECT, REVOCATIONS, TOKEN_EXCHANGE];

/// The most secrets that a client has at a time: one in use, and one that replaces it.
const MAX_SECRETS: usize = 2;

/// How often the use of a client is noted.
const USE_INTERVAL: Duration = Duration::from_secs(60);

/// A registered client.
#[derive(Clone)]
pub(crate) struct Client {
    /// The id.
    pub id: ClientId,
    /// The name, for people.
    pub name: String,
    /// What the client may do.
    pub scopes: Scopes,
    /// Whom the tokens that the client asks for may be for, besides the audience of the server.
    pub audiences: Audiences,
    /// The lifetime of the access tokens that the client asks for; `None` for that of the server.
    pub access_token_ttl: Option<Duration>,
    /// The algorithm of the access tokens that the client asks for; `None` for that of the server.
    pub signing_algorithm: Option<Algorithm>,
    /// The number of the latest secret.
    pub secrets_issued: i32,
    /// The time at which the client was registered.
    pub created_at: Timestamp,
    /// The time at which the client was disabled.
    pub disabled_at: Option<Timestamp>,
    /// The time of the last authentication, as of a minute ago.
    pub last_used_at: Option<Timestamp>,
    /// The valid secrets, oldest first.
    pub secrets: Vec<StoredSecret>,
}

/// A secret as it is stored.
#[derive(Clone)]
pub(crate) struct StoredSecret {
    /// The number, which no other secret of the client has had.
    pub number: i32,
    /// The time at which the secret was issued.
    pub created_at: Timestamp,
    digest: SecretDigest,
}

impl Client {
    /// Returns whether the client has a scope.
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// Returns whether the client is enabled.
    pub(crate) const fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }

    /// Returns whether the client is enabled and has the secret with this digest.
    fn accepts(&self, digest: &SecretDigest) -> bool {
        // All are compared, so that the time does not tell which one it was.
        let matches = self.secrets.iter().filter(|secret| secret.digest.matches(digest)).count();
        self.is_enabled() && matches > 0
    }
}

/// The properties of a new client.
pub(crate) struct NewClient {
    /// The name.
    pub name: Label,
    /// What the client may do.
    pub scopes: Scopes,
    /// Whom the tokens that the client asks for may be for.
    pub audiences: Audiences,
    /// The lifetime of the access tokens that the client asks for.
    pub access_token_ttl: Option<Duration>,
    /// The algorithm of the access tokens that the client asks for.
    pub signing_algorithm: Option<Algorithm>,
}

/// A change of a client.
#[derive(Clone, Default)]
pub(crate) struct ClientChange {
    /// The new name; `None` keeps it.
    pub name: Option<Label>,
    /// The new scopes; `None` keeps them.
    pub scopes: Option<Scopes>,
    /// The new audiences; `None` keeps them.
    pub audiences: Option<Audiences>,
    /// The new lifetime of access tokens.
    pub access_token_ttl: Patch<Duration>,
    /// The new algorithm of access tokens.
    pub signing_algorithm: Patch<Algorithm>,
    /// Whether the client is disabled; `None` keeps the state.
    pub disabled: Option<bool>,
}

/// Why a client is not authenticated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthenticationError {
    /// There is no such client, it is disabled, or the secret is wrong.
    #[error("the client or its secret is not valid")]
    Invalid,
    /// The database failed, so it is not known whether the secret is valid.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// All registered clients. Clones share everything.
#[derive(Clone)]
pub(crate) struct Clients {
    db: Db,
    clock: Clock,
    memory: Arc<Memory>,
}

impl Clients {
    /// Creates the clients of a server.
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, memory: Arc::default() }
    }

    /// Authenticates a client by its id and one of its secrets. A client that has authenticated is remembered for up to
    /// two seconds, so that the database is not asked each time.
    ///
    /// # Errors
    /// There is no such client, it is disabled, the secret is wrong, or the database fails.
    pub(crate) async fn authenticate(&self, id: &str, secret: &str) -> Result<Arc<Client>, AuthenticationError> {
        let id = Uuid::try_parse(id).map_err(|_| AuthenticationError::Invalid)?;
        let digest = secret::digest_of(secret).ok_or(AuthenticationError::Invalid)?;
        // What is remembered never refuses: the secret may be a new one.
        let known = self.memory.get(ClientId(id)).filter(|client| client.accepts(&digest));
        if let Some(client) = known {
            return Ok(client);
        }
        let client = self.read(ClientId(id)).await?.filter(|client| client.accepts(&digest));
        let client = client.ok_or(AuthenticationError::Invalid)?;
        self.note_use(&client);
        Ok(client)
    }

    /// Finds an enabled client, as it was up to two seconds ago.
    pub(crate) async fn find_enabled(&self, id: ClientId) -> DbResult<Option<Arc<Client>>> {
        let found = match self.memory.get(id) {
            Some(client) => Some(client),
            None => self.read(id).await?,
        };
        Ok(found.filter(|client| client.is_enabled()))
    }

    /// Finds a client, as it is now.
    pub(crate) async fn find(&self, id: ClientId) -> DbResult<Option<Client>> {
        self.db.read(move |conn| store::find(conn, id)).await
    }

    /// Lists up to `limit` clients after `after` in the order of ids, which is that of registration.
    pub(crate) async fn list(&self, after: Option<ClientId>, limit: usize) -> DbResult<Vec<Client>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db.read(move |conn| store::list(conn, after, limit)).await
    }

    /// Forgets what this server remembers of a client that was changed. Call this after the commit.
    pub(crate) fn forget(&self, id: ClientId) {
        self.memory.forget(id);
    }

    async fn read(&self, id: ClientId) -> DbResult<Option<Arc<Client>>> {
        let reading = self.memory.begin(id);
        let client = self.db.read(move |conn| store::find(conn, id)).await?.map(Arc::new);
        if let Some(client) = &client {
            self.memory.put(reading, Arc::clone(client));
        }
        Ok(client)
    }

    /// Notes the use of a client, at most once a minute. Nobody waits for it, and it may be lost.
    fn note_use(&self, client: &Client) {
        let now = self.clock.now();
        if client.last_used_at.is_some_and(|at| now.since(at) < USE_INTERVAL) {
            return;
        }
        let id = client.id;
        let db = self.db.clone();
        tokio::spawn(async move {
            if let Err(error) = db.write(move |conn| store::note_use(conn, id, now, now.minus(USE_INTERVAL))).await {
                tracing::debug!(%error, "the use of a client was not noted");
            }
        });
    }
}
