//! Sessions that an operator holds in the place of their owner (RFC 8693 §4.1): short, without a refresh token, and
//! without the role that administers.

use std::time::Duration;

use super::open::{Opened, Opening};
use super::{ADMIN, IssueError, Sessions, Subject};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::db::types::{Names, SessionId, UserId};

/// The longest that such a session lasts.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Who acts for whom.
pub struct Impersonation {
    pub subject: Subject,
    pub operator: UserId,
    /// How and when the operator, not the person, authenticated.
    pub amr: Names,
    pub authenticated_at: Timestamp,
}

/// The access token of such a session.
pub struct Impersonated {
    pub access_token: String,
    pub expires_in: Duration,
    pub session: SessionId,
    pub subject: Subject,
    pub operator: UserId,
    pub server_time: Timestamp,
}

impl Sessions {
    /// Prepares a session in which an operator acts for a person.
    pub fn impersonation(&self, impersonation: Impersonation, client: &Client) -> Opening {
        let Impersonation { subject, operator, amr, authenticated_at } = impersonation;
        let subject = Subject { roles: subject.roles.without(ADMIN), ..subject };
        let mut opening = self.opening(subject, amr, client, None);
        let ends_at = opening.standing.issued_at.plus(self.0.policy.access_token_ttl.min(LONGEST));
        opening.standing.ends_at = ends_at;
        opening.standing.expires_at = ends_at;
        opening.standing.authenticated_at = authenticated_at;
        opening.standing.actor = Some(operator);
        opening
    }

    /// The access token of such a session that was inserted and committed. Its refresh token is handed to nobody.
    pub async fn impersonated(&self, opened: Opened) -> Result<Impersonated, IssueError> {
        let operator = opened.standing.actor.unwrap_or(opened.standing.subject.id);
        let grant = self.opened(opened).await?;
        Ok(Impersonated {
            access_token: grant.access_token,
            expires_in: grant.access_token_expires_in,
            session: grant.session,
            subject: grant.subject,
            operator,
            server_time: grant.server_time,
        })
    }
}
