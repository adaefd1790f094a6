//! The standard endpoints as the libraries of others use them: untouched, with the configuration that their
//! documentation shows.

use serde_json::json;

use crate::audit::administrator;
use crate::clients::register;
use crate::support::clients::{node, own_address, python};
use crate::support::{Backend, PASSWORD, Server};

both_backends! {
    oauth4webapi_and_authlib_introspect_refresh_revoke_and_get_tokens,
    oauth4webapi_binds_tokens_to_its_key_and_takes_nonces,
}

async fn oauth4webapi_and_authlib_introspect_refresh_revoke_and_get_tokens(backend: Backend) {
    let (address, url) = own_address();
    let settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::with(backend, &settings).await;
    let admin = administrator(&server).await;
    let scopes = json!(["introspect", "token-exchange", "orders:read"]);
    let client = register(&server, &admin, &json!({"name": "gateway", "scopes": scopes})).await;
    for program in ["oauth_client.mjs", "oauth_client.py"] {
        let tokens = server.register().await;
        let given = json!({"issuer": url, "audience": "keyturn", "id": client.id, "secret": client.secret,
            "access": tokens.access, "refresh": tokens.refresh});
        let found = if program.ends_with("py") { python(program, given).await } else { node(program, given).await };
        let expected = json!({"subject": tokens.user, "own": format!("client:{}", client.id),
            "exchanged": "orders:read", "unknown": {"active": false}});
        for method in ["basic", "post"] {
            assert_eq!(found[method], expected, "{program} {method}");
        }
        let ends = (&found["dead"], &found["alive"], &found["refused"]);
        assert_eq!(ends, (&json!(false), &json!(true), &json!("invalid_grant")), "{program}");
    }
}

async fn oauth4webapi_binds_tokens_to_its_key_and_takes_nonces(backend: Backend) {
    let (address, url) = own_address();
    let mut settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("DPOP_NONCE", "required"));
    let server = Server::with(backend, &settings).await;
    let admin = administrator(&server).await;
    let client = register(&server, &admin, &json!({"name": "gateway", "scopes": ["introspect"]})).await;
    let tokens = server.register().await;
    let given = json!({"issuer": url, "audience": "keyturn", "id": client.id, "secret": client.secret,
        "email": tokens.email, "password": PASSWORD});
    let found = node("dpop_client.mjs", given).await;
    // The library writes the type in lower case.
    let expected = json!({"client": "dpop", "told": "DPoP", "thumbprint": true, "nonce": "use_dpop_nonce",
        "refreshed": "dpop", "me": tokens.email, "nonces": 2, "downgraded": "dpop_required"});
    assert_eq!(found, expected);
}
