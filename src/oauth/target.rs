//! The audience and the scopes of a token that a client asks for.

use crate::clients::{Client, OWN_SCOPES};
use crate::types::Scopes;

/// The audience and scopes that a client asks for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The audience (RFC 8693 §2.1) or resource (RFC 8707).
    pub audience: Option<String>,
    /// The scopes.
    pub scopes: Option<Scopes>,
}

/// The audience and scopes that a token gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub audience: String,
    pub scopes: Scopes,
}

/// Why a client does not get what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// The client may not ask for tokens for this audience.
    #[error("the audience or resource is none of the client's")]
    Audience,
    /// The client may not ask for one of the scopes, or not for this audience.
    #[error("a scope is none of the client's, or not for this audience")]
    Scope,
}

fn is_own_scope(scope: &str) -> bool {
    OWN_SCOPES.contains(&scope)
}

/// Returns whether the client may ask for tokens for an audience. `own` is that of the server.
pub(super) fn may_target(client: &Client, audience: &str, own: &str) -> bool {
    audience == own || client.audiences.contains(audience)
}

/// Decides about a token of the client's own. Scopes of this server are only in tokens for this server, so that no
/// other audience can use the token here.
pub(super) fn of_client(client: &Client, wanted: Wanted, own: &str) -> Result<Target, TargetError> {
    let is_for_server = match &wanted.scopes {
        Some(scopes) => scopes.names().iter().any(|scope| is_own_scope(scope)),
        None => !client.scopes.is_empty() && client.scopes.names().iter().all(|scope| is_own_scope(scope)),
    };
    let audience = match (wanted.audience, client.audiences.names()) {
        (Some(audience), _) if may_target(client, &audience, own) => audience,
        (Some(_), _) => return Err(TargetError::Audience),
        (None, [first, ..]) if !is_for_server => first.clone(),
        (None, _) => own.to_owned(),
    };
    let allowed = client.scopes.filter(|scope| audience == own || !is_own_scope(scope));
    let scopes = wanted.scopes.unwrap_or_else(|| allowed.clone());
    if scopes.are_within(&allowed) { Ok(Target { audience, scopes }) } else { Err(TargetError::Scope) }
}

/// Decides about a token of a person's that the client gets in exchange for one with the scopes `held`. If that has
/// none, it is the person's own and stands for all.
pub(super) fn of_exchange(client: &Client, wanted: Wanted, held: &Scopes, own: &str) -> Result<Target, TargetError> {
    let audience = match (wanted.audience, client.audiences.names()) {
        (Some(audience), _) if may_target(client, &audience, own) => audience,
        (Some(_), _) => return Err(TargetError::Audience),
        (None, [first, ..]) => first.clone(),
        (None, []) => own.to_owned(),
    };
    let allowed = client.scopes.filter(|scope| !is_own_scope(scope) && (held.is_empty() || held.contains(scope)));
    let scopes = wanted.scopes.unwrap_or_else(|| held.filter(|scope| allowed.contains(scope)));
    // A token with scopes is not exchanged for one without, which stands for more.
    if !scopes.are_within(&allowed) || (scopes.is_empty() && !held.is_empty()) {
        return Err(TargetError::Scope);
    }
    Ok(Target { audience, scopes })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::types::{Audiences, ClientId, Timestamp};

    const OWN: &str = "https://auth.example";

    fn client(scopes: &str, audiences: &[&str]) -> Client {
        Client {
            id: ClientId(Uuid::nil()),
            name: String::new(),
            scopes: Scopes::parse_text(scopes).unwrap(),
            audiences: Audiences::parse(audiences.iter().copied()).unwrap(),
            access_token_ttl: None,
            signing_algorithm: None,
            secrets_issued: 0,
            created_at: Timestamp::from_millis(0),
            disabled_at: None,
            last_used_at: None,
            secrets: Vec::new(),
        }
    }

    fn wanted(audience: &str, scopes: &str) -> Wanted {
        Wanted {
            audience: (!audience.is_empty()).then(|| audience.to_owned()),
            scopes: (!scopes.is_empty()).then(|| Scopes::parse_text(scopes).unwrap()),
        }
    }

    fn shown(target: Result<Target, TargetError>) -> Result<(String, String), TargetError> {
        target.map(|target| (target.audience, target.scopes.to_string()))
    }

    #[test]
    fn scopes_of_this_server_are_in_tokens_for_this_server_only() {
        let both = client("introspect orders:read", &["api", "billing"]);
        for (audience, scopes, expected) in [
            ("", "", Ok(("api", "orders:read"))),
            ("billing", "", Ok(("billing", "orders:read"))),
            (OWN, "", Ok((OWN, "introspect orders:read"))),
            ("", "introspect", Ok((OWN, "introspect"))),
            ("api", "introspect", Err(TargetError::Scope)),
            ("", "orders:write", Err(TargetError::Scope)),
            ("other", "", Err(TargetError::Audience)),
        ] {
            let expected = expected.map(|(audience, scopes)| (audience.to_owned(), scopes.to_owned()));
            assert_eq!(shown(of_client(&both, wanted(audience, scopes), OWN)), expected, "{audience} {scopes}");
        }
        let feed = client("revocations", &["api"]);
        let expected = (OWN.to_owned(), "revocations".to_owned());
        assert_eq!(shown(of_client(&feed, Wanted::default(), OWN)), Ok(expected));
        assert_eq!(shown(of_client(&client("", &[]), Wanted::default(), OWN)), Ok((OWN.to_owned(), String::new())));
    }

    #[test]
    fn an_exchange_narrows_and_never_widens() {
        let own = client("token-exchange a b", &["api"]);
        let held = |text| Scopes::parse_text(text).unwrap();
        for (audience, scopes, from, expected) in [
            ("", "", "", Ok(("api", ""))),
            ("", "a", "", Ok(("api", "a"))),
            (OWN, "a b", "", Ok((OWN, "a b"))),
            ("", "", "b c", Ok(("api", "b"))),
            ("", "a", "b", Err(TargetError::Scope)),
            ("", "", "c", Err(TargetError::Scope)),
            ("", "token-exchange", "", Err(TargetError::Scope)),
            ("", "c", "", Err(TargetError::Scope)),
            ("other", "", "", Err(TargetError::Audience)),
        ] {
            let expected = expected.map(|(audience, scopes)| (audience.to_owned(), scopes.to_owned()));
            let target = of_exchange(&own, wanted(audience, scopes), &held(from), OWN);
            assert_eq!(shown(target), expected, "{audience} {scopes} {from}");
        }
    }
}
