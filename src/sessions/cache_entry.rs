//! Snapshots of sessions in the cache.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SessionSnapshot, Sessions, Subject};
use crate::cache::Superseded;
use crate::types::{Amr, Jti, Roles, SessionId, Timestamp, UserId, as_millis};

/// A snapshot in the form that the cache stores. An entry of another form counts as missing, so the form may change.
#[derive(Serialize, Deserialize)]
struct CacheEntry<'a> {
    session: SessionId,
    user: UserId,
    email: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    roles: Cow<'a, Roles>,
    email_verified: bool,
    generation: i64,
    revision: i64,
    access_jti: Jti,
    former_access_jti: Option<Jti>,
    #[serde(with = "as_millis")]
    issued_at: Timestamp,
    #[serde(with = "as_millis")]
    access_expires_at: Timestamp,
    #[serde(with = "as_millis")]
    expires_at: Timestamp,
    #[serde(with = "as_millis")]
    ends_at: Timestamp,
    #[serde(with = "as_millis")]
    authenticated_at: Timestamp,
    amr: Cow<'a, Amr>,
    client_id: Cow<'a, str>,
    actor: Option<UserId>,
    valid_from_revision: i64,
}

/// Encodes a snapshot as a cache entry. Returns `None` if that fails.
fn encode(snapshot: &SessionSnapshot) -> Option<Vec<u8>> {
    let subject = &snapshot.subject;
    let entry = CacheEntry {
        session: snapshot.session,
        user: subject.id,
        email: Cow::Borrowed(&subject.email),
        name: subject.name.as_deref().map(Cow::Borrowed),
        roles: Cow::Borrowed(&subject.roles),
        email_verified: subject.email_verified,
        generation: snapshot.generation,
        revision: snapshot.revision,
        access_jti: snapshot.access_jti,
        former_access_jti: snapshot.former_access_jti,
        issued_at: snapshot.issued_at,
        access_expires_at: snapshot.access_expires_at,
        expires_at: snapshot.expires_at,
        ends_at: snapshot.ends_at,
        authenticated_at: snapshot.authenticated_at,
        amr: Cow::Borrowed(&snapshot.amr),
        client_id: Cow::Borrowed(&snapshot.client_id),
        actor: snapshot.actor,
        valid_from_revision: snapshot.valid_from_revision,
    };
    serde_json::to_vec(&entry).ok()
}

/// Decodes a cache entry. Returns `None` if it has another form.
pub(super) fn decode(entry: &[u8]) -> Option<SessionSnapshot> {
    let entry: CacheEntry<'_> = serde_json::from_slice(entry).ok()?;
    Some(SessionSnapshot {
        session: entry.session,
        subject: Subject {
            id: entry.user,
            email: entry.email.into_owned(),
            name: entry.name.map(Cow::into_owned),
            roles: entry.roles.into_owned(),
            email_verified: entry.email_verified,
        },
        generation: entry.generation,
        revision: entry.revision,
        access_jti: entry.access_jti,
        former_access_jti: entry.former_access_jti,
        issued_at: entry.issued_at,
        access_expires_at: entry.access_expires_at,
        expires_at: entry.expires_at,
        ends_at: entry.ends_at,
        authenticated_at: entry.authenticated_at,
        amr: entry.amr.into_owned(),
        client_id: entry.client_id.into_owned(),
        actor: entry.actor,
        valid_from_revision: entry.valid_from_revision,
    })
}

impl Sessions {
    /// Puts a session's snapshot into the cache. An error is ignored, because a check then reads the database.
    pub(super) async fn put_in_cache(&self, snapshot: &SessionSnapshot, now: Timestamp) {
        let Some(entry) = encode(snapshot) else { return };
        let superseded = snapshot
            .former_access_jti
            .map(|jti| Superseded { jti, from: snapshot.issued_at.plus(self.policy.replay_window) });
        let ttl = snapshot.access_token_expires_at(&self.policy).since(now).max(Duration::from_secs(1));
        let _ = self.cache.put(snapshot.session, snapshot.version(), entry, superseded, ttl).await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_entry_reads_back_as_the_snapshot_that_it_was_made_of() {
        let at = Timestamp::from_millis(1_700_000_000_007);
        let snapshot = SessionSnapshot {
            session: SessionId(Uuid::from_u128(1)),
            subject: Subject {
                id: UserId(Uuid::from_u128(2)),
                email: "ada\"@example.com".to_owned(),
                name: Some("Ada \u{1f98b}".to_owned()),
                roles: Roles::administrator(),
                email_verified: true,
            },
            generation: 3,
            revision: 4,
            access_jti: Jti(Uuid::from_u128(5)),
            former_access_jti: Some(Jti(Uuid::from_u128(6))),
            issued_at: at,
            access_expires_at: at.plus(Duration::from_millis(9)),
            expires_at: at.plus(Duration::from_millis(1)),
            ends_at: at.plus(Duration::from_millis(2)),
            authenticated_at: at.plus(Duration::from_millis(3)),
            amr: Amr::password(),
            client_id: "keyturn".to_owned(),
            actor: Some(UserId(Uuid::from_u128(7))),
            valid_from_revision: 2,
        };
        assert_eq!(decode(&encode(&snapshot).unwrap()), Some(snapshot));
        for other in ["", "{}", "null", "{\"session\":1}"] {
            assert_eq!(decode(other.as_bytes()), None);
        }
    }
}
