//! What a test does with a running server.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Deployment, Request, Response, Tokens, random_hex, until};

/// The password of every account that tests register.
pub const PASSWORD: &str = "seven ravens over the harbour";

/// A server's address and, by dereferencing, the [`Deployment`] behind it.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub deployment: Arc<Deployment>,
}

impl Deref for Endpoint {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

impl Endpoint {
    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    pub fn patch(&self, target: &str) -> Request {
        self.request("PATCH", target)
    }

    pub fn delete(&self, target: &str) -> Request {
        self.request("DELETE", target)
    }

    /// The header `Authorization` of a new client that may read the feed of revocations.
    pub async fn reader(&self) -> String {
        let administrator = self.register().await;
        let condition = format!("id = {}", self.literal(administrator.user.0));
        self.sql(&format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE {condition}"));
        let body = json!({"name": "reader", "scopes": ["revocations"]});
        let client = self.post("/api/v1/admin/clients").bearer(&administrator.access).json(&body).send().await;
        let client = client.assert_status(201).json();
        let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    /// The tokens of an account that did not exist before.
    pub async fn register(&self) -> Tokens {
        self.register_as(&format!("person-{}@example.com", random_hex::<6>())).await
    }

    pub async fn register_as(&self, email: &str) -> Tokens {
        let body = json!({"email": email, "password": PASSWORD});
        Tokens::of(self.post("/api/v1/auth/register").json(&body).send().await.assert_status(201))
    }

    /// The tokens of a further session of an account with the usual [`PASSWORD`].
    pub async fn login(&self, email: &str) -> Tokens {
        Tokens::of(self.try_login(email, PASSWORD).await.assert_status(200))
    }

    pub async fn try_login(&self, email: &str, password: &str) -> Response {
        self.post("/api/v1/auth/login").json(&json!({"email": email, "password": password})).send().await
    }

    /// Presents a refresh token.
    pub async fn refresh(&self, refresh_token: &str) -> Response {
        self.refreshing(refresh_token).send().await
    }

    /// The request of [`Self::refresh`].
    pub fn refreshing(&self, refresh_token: &str) -> Request {
        self.post("/api/v1/sessions/refresh").json(&json!({"refresh_token": refresh_token}))
    }

    /// Presents a refresh token that must be exchanged.
    pub async fn refreshed(&self, tokens: &Tokens) -> Tokens {
        Tokens::of(self.refresh(&tokens.refresh).await.assert_status(200))
    }

    /// Presents an access token where its owner is shown.
    pub async fn me(&self, access_token: &str) -> Response {
        self.get("/api/v1/auth/me").bearer(access_token).send().await
    }

    /// Waits until an access token that a refresh superseded, and whose replay window is over by a clock that was set
    /// ahead, is refused: the server may still be telling the cache of the refresh.
    pub async fn assert_superseded(&self, access_token: &str) {
        let refused = until("the superseded token to be refused", async || {
            Some(self.me(access_token).await).filter(|answer| answer.status != 200)
        });
        refused.await.assert_problem(401, "invalid_token");
    }

    /// Presents an access token where proxies ask.
    pub async fn verify(&self, access_token: &str) -> Response {
        self.get("/api/v1/auth/verify").bearer(access_token).send().await
    }

    pub async fn logout(&self, access_token: &str) -> Response {
        self.post("/api/v1/auth/logout").bearer(access_token).send().await
    }

    /// The caller's sessions.
    pub async fn sessions(&self, access_token: &str) -> Value {
        self.get("/api/v1/sessions").bearer(access_token).send().await.assert_status(200).json()
    }

    /// A counter by its name and labels, such as `keyturn_refreshes_total{outcome="rotated"}`; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").send().await.assert_status(200).text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap_or_else(|_| panic!("{name} is {value}")))
    }

    /// How many refreshes have ended as `outcome`.
    pub async fn refreshes(&self, outcome: &str) -> u64 {
        self.metric(&format!("keyturn_refreshes_total{{outcome=\"{outcome}\"}}")).await
    }
}
