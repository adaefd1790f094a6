//! Access tokens as the libraries of others verify them: untouched, with the configuration that their documentation
//! shows.

use serde_json::json;

use crate::support::clients::{node, own_address, python};
use crate::support::{Backend, Server};

both_backends! {
    libraries_of_node_and_python_verify_each_algorithm,
}

async fn libraries_of_node_and_python_verify_each_algorithm(backend: Backend) {
    for algorithm in ["ES256", "RS256", "EdDSA"] {
        let (address, url) = own_address();
        let mut settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
        settings.push(("JWT_ALGORITHM", algorithm));
        let server = Server::with(backend, &settings).await;
        let tokens = server.register().await;
        let given = json!({"issuer": url, "audience": "keyturn", "algorithm": algorithm, "token": tokens.access});
        for (program, read) in [
            ("verify_tokens.mjs", node("verify_tokens.mjs", given.clone()).await),
            ("verify_tokens.py", python("verify_tokens.py", given).await),
        ] {
            let read = read.as_object().unwrap();
            assert!(read.len() >= 2, "{program}: {read:?}");
            assert!(read.values().all(|subject| *subject == json!(tokens.user)), "{program}, {algorithm}: {read:?}");
        }
    }
}
