//! Events of the feed of revocations.

use serde::Deserialize;

use crate::Id;

/// An event of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A snapshot follows, up to the next [`Sync`](Self::Sync), and replaces what is known.
    Reset,
    /// A session, or tokens of one, were revoked.
    Revoked {
        /// The session.
        sid: Option<Id>,
        /// The only token that was revoked.
        jti: Option<Id>,
        /// The revision of the session before which its tokens were revoked, and only these.
        before_rev: Option<i64>,
        /// The server's time at which the last of the tokens expires, in milliseconds since 1970.
        expires_at_millis: i64,
    },
    /// A key was revoked.
    Key {
        /// The id of the key.
        kid: String,
    },
    /// A client was deleted, and all tokens that were issued to it were revoked.
    Client {
        /// The id of the client.
        client_id: String,
        /// The server's time at which the last of the tokens expires, in milliseconds since 1970.
        expires_at_millis: i64,
    },
    /// Everything is known that was revoked until `age_millis` ago.
    Sync {
        /// How old the server's knowledge was.
        age_millis: u64,
        /// The server's time, in milliseconds since 1970.
        server_time_millis: i64,
    },
    /// The server goes; another connection may be made after so long.
    Bye {
        /// The time until then, in milliseconds.
        retry_millis: u64,
    },
    /// An event that this version does not know.
    Unknown,
}

/// The error for an event whose data is not as the contract says. Its reader must start again without a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event is malformed")]
pub struct MalformedEvent;

#[derive(Deserialize)]
struct RevokedData {
    sid: Option<String>,
    jti: Option<String>,
    before_rev: Option<i64>,
    expires_at: String,
}

#[derive(Deserialize)]
struct KeyData {
    kid: String,
}

#[derive(Deserialize)]
struct ClientData {
    client_id: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct SyncData {
    age_ms: u64,
    server_time: String,
}

#[derive(Deserialize)]
struct ByeData {
    retry_ms: u64,
}

impl Event {
    /// Parses the name and the data of an event.
    ///
    /// # Errors
    /// The data of a known event is malformed.
    pub fn parse(name: &str, data: &str) -> Result<Self, MalformedEvent> {
        fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, MalformedEvent> {
            serde_json::from_str(data).map_err(|_| MalformedEvent)
        }
        match name {
            "reset" => Ok(Self::Reset),
            "revoked" => {
                let data: RevokedData = read(data)?;
                let sid = data.sid.as_deref().map(id).transpose()?;
                let jti = data.jti.as_deref().map(id).transpose()?;
                // With a revision, `jti` names the latest of the tokens, for readers that know no revisions.
                let jti = jti.filter(|_| data.before_rev.is_none());
                if sid.is_none() && jti.is_none() {
                    return Err(MalformedEvent);
                }
                let expires_at_millis = millis(&data.expires_at)?;
                Ok(Self::Revoked { sid, jti, before_rev: data.before_rev, expires_at_millis })
            }
            "key" => Ok(Self::Key { kid: read::<KeyData>(data)?.kid }),
            "client" => {
                let data: ClientData = read(data)?;
                Ok(Self::Client { client_id: data.client_id, expires_at_millis: millis(&data.expires_at)? })
            }
            "sync" => {
                let data: SyncData = read(data)?;
                Ok(Self::Sync { age_millis: data.age_ms, server_time_millis: millis(&data.server_time)? })
            }
            "bye" => Ok(Self::Bye { retry_millis: read::<ByeData>(data)?.retry_ms }),
            _ => Ok(Self::Unknown),
        }
    }
}

fn id(text: &str) -> Result<Id, MalformedEvent> {
    Id::parse(&text.to_ascii_lowercase()).ok_or(MalformedEvent)
}

fn millis(text: &str) -> Result<i64, MalformedEvent> {
    text.parse().map(|time: jiff::Timestamp| time.as_millisecond()).map_err(|_| MalformedEvent)
}
