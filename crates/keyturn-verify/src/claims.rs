//! The claims of an access token.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::Id;
use crate::dpop::is_thumbprint;

/// What the subject of a client's own token begins with. The id of the client follows.
const CLIENT_PREFIX: &str = "client:";

/// The claims of an access token (RFC 9068 §2.2). Times are seconds since 1970.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The id of the account; `client:` and the id of the client if no person is behind the token.
    pub sub: String,
    /// The audience.
    pub aud: String,
    /// The time at which the token expires.
    pub exp: i64,
    /// The time at which the token was issued.
    pub iat: i64,
    /// The time before which the token is not valid.
    pub nbf: i64,
    /// The id of the token.
    pub jti: Id,
    /// The session. A client's own token has none.
    #[serde(default, deserialize_with = "present")]
    pub sid: Option<Id>,
    /// The revision of the session at which the token was issued.
    #[serde(default, deserialize_with = "present")]
    pub rev: Option<i64>,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The scopes, separated by spaces.
    #[serde(default)]
    pub scope: String,
    /// The roles of the account.
    #[serde(default, deserialize_with = "present")]
    pub roles: Option<Vec<String>>,
    /// The time at which the user authenticated.
    #[serde(default, deserialize_with = "present")]
    pub auth_time: Option<i64>,
    /// The methods by which the user authenticated (RFC 8176).
    #[serde(default, deserialize_with = "present")]
    pub amr: Option<Vec<String>>,
    /// The email address of the account, if the server puts it into tokens.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the email address is verified.
    #[serde(default)]
    pub email_verified: Option<bool>,
    /// The name of the account, if the server puts it into tokens.
    #[serde(default)]
    pub name: Option<String>,
    /// Whoever acts for the user.
    #[serde(default)]
    pub act: Option<Act>,
    /// The key that the token is bound to (RFC 9449 §6.1).
    #[serde(default, deserialize_with = "present")]
    pub cnf: Option<Confirmation>,
}

/// The key whose possession the holder of a token has to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// The thumbprint of the key (RFC 7638).
    pub jkt: String,
}

/// The actor in a token (RFC 8693 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Act {
    /// The account of the actor.
    pub sub: Id,
}

impl<'de> Deserialize<'de> for Confirmation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        let jkt = members.get("jkt").and_then(Value::as_str).filter(|jkt| is_thumbprint(jkt));
        Ok(Self { jkt: jkt.ok_or_else(|| D::Error::custom("no thumbprint"))?.to_owned() })
    }
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        let sub = members.get("sub").and_then(Value::as_str).and_then(Id::parse);
        Ok(Self { sub: sub.ok_or_else(|| D::Error::custom("no actor"))? })
    }
}

/// Reads a member that may be missing and may not be `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Claims {
    /// Returns whether the token is a client's own, with no person behind it.
    pub fn is_client(&self) -> bool {
        self.sub.starts_with(CLIENT_PREFIX)
    }

    /// Returns whether the account has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().flatten().any(|name| name == role)
    }

    /// Returns whether the token has all of these scopes, which are separated by spaces.
    pub fn has_scope(&self, scopes: &str) -> bool {
        fn words(text: &str) -> impl Iterator<Item = &str> {
            text.split(' ').filter(|word| !word.is_empty())
        }
        words(scopes).all(|scope| words(&self.scope).any(|own| own == scope))
    }

    /// Returns whether the user authenticated by a method, such as `mfa`.
    pub fn has_amr(&self, method: &str) -> bool {
        self.amr.iter().flatten().any(|name| name == method)
    }

    /// Returns whether those claims are there that keyturn puts into a token of this subject.
    pub(crate) fn are_complete(&self) -> bool {
        let is_session = self.sid.is_some() && self.rev.is_some();
        let is_no_session = self.sid.is_none() && self.rev.is_none();
        if let Some(client) = self.sub.strip_prefix(CLIENT_PREFIX) {
            return !client.is_empty() && !client.contains(char::is_control) && (is_session || is_no_session);
        }
        Id::parse(&self.sub).is_some()
            && is_session
            && self.roles.is_some()
            && self.auth_time.is_some()
            && self.amr.is_some()
    }
}
