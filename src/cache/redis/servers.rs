//! Connections to a single Redis, a Redis with Sentinel, or a Redis Cluster.

use std::time::Duration;

use deadpool::managed::Manager as _;
use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::{
    Client, Cmd, ConnectionInfo, IntoConnectionInfo as _, Pipeline, RedisFuture, RedisResult, TlsCertificates, Value,
};
use deadpool_redis::{Manager, cluster, sentinel};

use crate::config::{Redis, RedisLayout};

/// How many times as long as a call a connection attempt may take, with TLS and authentication.
const CONNECT_TIMEOUT_FACTOR: u32 = 10;

/// The servers that the settings name, and how long they may take.
pub(super) struct Servers {
    managers: Managers,
    /// The timeout of a call.
    pub timeout: Duration,
}

enum Managers {
    Single(Manager),
    Sentinel(sentinel::Manager),
    Cluster(cluster::Manager),
}

/// A connection whose concurrent commands are pipelined. Clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Multiplexed(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Multiplexed(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Multiplexed(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl Servers {
    /// Reads the settings, without connecting.
    pub(super) fn new(config: &Redis) -> Result<Self, String> {
        let certificate = config.ca_file.as_deref().map(std::fs::read).transpose();
        let certificate = certificate.map_err(|error| format!("REDIS_CA_FILE cannot be read: {error}"))?;
        let node = |url: &str| node(url, certificate.as_deref());
        let made = match &config.layout {
            RedisLayout::Single { url } => Manager::new(node(url)?).map(Managers::Single),
            RedisLayout::Cluster { nodes } => {
                let nodes = nodes.iter().map(|url| node(url)).collect::<Result<Vec<_>, _>>()?;
                cluster::Manager::new(nodes, false).map(Managers::Cluster)
            }
            RedisLayout::Sentinel { sentinels, service, username, password, db, tls } => {
                let nodes = sentinels.iter().map(|url| node(url)).collect::<Result<Vec<_>, _>>()?;
                let primary = sentinel::SentinelNodeConnectionInfo {
                    tls_mode: tls.then_some(sentinel::TlsMode::Secure),
                    redis_connection_info: Some(deadpool_redis::RedisConnectionInfo {
                        db: *db,
                        username: username.clone(),
                        password: password.as_ref().map(|password| password.to_string()),
                        ..Default::default()
                    }),
                };
                let server = sentinel::SentinelServerType::Master;
                sentinel::Manager::new(nodes, service.clone(), Some(primary), server).map(Managers::Sentinel)
            }
        };
        let managers = made.map_err(|error| error.to_string())?;
        Ok(Self { managers, timeout: config.timeout })
    }

    /// Returns whether keys are distributed over several servers.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.managers, Managers::Cluster(_))
    }

    /// Opens a connection, within [`CONNECT_TIMEOUT_FACTOR`] times the timeout of a call.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            RedisResult::Ok(match &self.managers {
                Managers::Single(manager) => Connection::Multiplexed(manager.create().await?),
                Managers::Sentinel(manager) => Connection::Multiplexed(manager.create().await?),
                Managers::Cluster(manager) => Connection::Cluster(manager.create().await?),
            })
        };
        let timeout = CONNECT_TIMEOUT_FACTOR * self.timeout;
        match tokio::time::timeout(timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no connection within {} ms", timeout.as_millis())),
        }
    }
}

/// Returns the connection settings of one server.
fn node(url: &str, certificate: Option<&[u8]>) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    let Some(certificate) = certificate else { return Ok(info) };
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(certificate.to_vec()) };
    let client = Client::build_with_tls(info, certificates).map_err(|error| format!("REDIS_CA_FILE: {error}"))?;
    Ok(client.get_connection_info().clone())
}
