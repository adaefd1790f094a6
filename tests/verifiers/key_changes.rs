//! Signing keys that change while two servers issue tokens, and verifiers check every one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyturn_verify::client::{LiveVerifier, Settings};
use keyturn_verify::{Keys, Moment, Refusal, Rules, Verifier};

use crate::live::{administrator, client, ready};
use crate::support::clients::own_address;
use crate::support::tokens::jwt_part;
use crate::support::{Backend, Deployment, Endpoint, Process, Tokens, until};

scaled_only! {
    no_token_is_refused_while_keys_change_and_none_of_a_revoked_key_accepted,
}

/// The shortest `JWKS_MAX_AGE`. A key is published for twice as long before it signs.
const MAX_AGE: Duration = Duration::from_secs(10);

/// A verifier that asks for the keys every [`MAX_AGE`] and never in between, and does not follow the feed.
#[derive(Clone)]
struct Caching {
    verifier: Verifier,
}

impl Caching {
    async fn start(servers: Vec<Endpoint>, issuer: &str) -> Self {
        let caching = Self { verifier: Verifier::without_feed(Rules::new(issuer, "keyturn")) };
        caching.fetch(&servers[0]).await;
        let own = caching.clone();
        tokio::spawn(async move {
            for turn in 1.. {
                tokio::time::sleep(MAX_AGE).await;
                own.fetch(&servers[turn % servers.len()]).await;
            }
        });
        caching
    }

    async fn fetch(&self, server: &Endpoint) {
        let answer = server.get("/.well-known/jwks.json").send().await;
        self.verifier.set_keys(Keys::parse(&answer.assert_status(200).body).unwrap());
    }
}

/// What everybody shares who issues and checks tokens.
struct Load {
    servers: Vec<Endpoint>,
    live: Vec<LiveVerifier>,
    caching: Caching,
    /// Whether a key was revoked, which a verifier without the feed learns only later.
    is_revoked: AtomicBool,
    stop: AtomicBool,
}

impl Load {
    /// Refreshes at each server in turn, and has every verifier check each token as soon as it is there. Returns the
    /// tokens and how many there were.
    async fn run(self: Arc<Self>, mut tokens: Tokens) -> (Tokens, u32) {
        let mut count = 0;
        for turn in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let server = &self.servers[turn % self.servers.len()];
            tokens = server.refreshed(&tokens).await;
            count += 1;
            for verifier in &self.live {
                let mut refusal = verifier.check(&tokens.access).await.err();
                // The key in the place of a revoked one was not published before: a server learns of both at once.
                for _ in 0..1000 {
                    if refusal != Some(Refusal::UnknownKey) || !self.is_revoked.load(Ordering::Relaxed) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    refusal = verifier.check(&tokens.access).await.err();
                }
                self.assert_accepted(refusal);
            }
            if !self.is_revoked.load(Ordering::Relaxed) {
                self.assert_accepted(self.caching.verifier.verify(&tokens.access, Moment::now()).err());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (tokens, count)
    }

    fn assert_accepted(&self, refusal: Option<Refusal>) {
        let is_right = refusal.is_none()
            // The key was revoked after the token was issued.
            || (refusal == Some(Refusal::KeyRevoked) && self.is_revoked.load(Ordering::Relaxed));
        assert!(is_right, "{refusal:?}");
    }
}

fn kid(tokens: &Tokens) -> String {
    jwt_part(&tokens.access, 0)["kid"].as_str().unwrap().to_owned()
}

async fn no_token_is_refused_while_keys_change_and_none_of_a_revoked_key_accepted(backend: Backend) {
    let deployment = Deployment::new(backend);
    let (address, issuer) = own_address();
    let (other, other_url) = own_address();
    let limits = [("LIMIT_REFRESH_SESSION", "off"), ("LIMIT_REFRESH_ADDRESS", "off"), ("JWKS_MAX_AGE", "10")];
    let settings = |bind: &str| {
        let own = [("BIND", bind), ("PUBLIC_URL", issuer.as_str())];
        Process::start(&deployment, &[&own[..], &limits].concat())
    };
    let fleet = [settings(&address[0].1), settings(&other[0].1)];
    let servers: Vec<Endpoint> = fleet.iter().map(|process| (**process).clone()).collect();
    let mut live = Vec::new();
    for url in [&issuer, &other_url] {
        let (id, secret) = client(&servers[0]).await;
        let mut settings = Settings::new(&issuer, "keyturn", id, secret);
        settings.url.clone_from(url);
        live.push(ready(settings).await);
    }
    let caching = Caching::start(servers.clone(), &issuer).await;
    let admin = administrator(&servers[0]).await;
    let load =
        Arc::new(Load { servers, live, caching, is_revoked: AtomicBool::new(false), stop: AtomicBool::new(false) });
    let mut clients = Vec::new();
    for _ in 0..6 {
        let tokens = load.servers[0].register().await;
        clients.push(tokio::spawn(Arc::clone(&load).run(tokens)));
    }
    let probe = load.servers[1].register().await;
    let first = kid(&probe);

    load.servers[0].post("/api/v1/admin/keys/rotate").bearer(&admin.access).send().await.assert_status(200);
    let mut old = load.servers[1].login(&probe.email).await;
    until("tokens of the next key", async || {
        old = load.servers[1].refreshed(&old).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        (kid(&old) != first).then_some(())
    })
    .await;
    let second = kid(&old);
    // A token of the former key is still one.
    for verifier in &load.live {
        verifier.check(&probe.access).await.unwrap();
    }
    let admin = load.servers[0].refreshed(&admin).await;
    load.is_revoked.store(true, Ordering::Relaxed);
    let revoke = load.servers[0].post(&format!("/api/v1/admin/keys/{second}/revoke")).bearer(&admin.access);
    revoke.send().await.assert_status(204);
    let answered = Instant::now();
    for verifier in &load.live {
        until("the refusal of the revoked key", async || verifier.verify(&old.access, Moment::now()).err()).await;
        assert_eq!(verifier.verify(&old.access, Moment::now()).err(), Some(Refusal::KeyRevoked));
    }
    println!("every verifier refuses the revoked key {} ms after the answer", answered.elapsed().as_millis());
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.stop.store(true, Ordering::Relaxed);
    for client in clients {
        let (last, count) = client.await.unwrap();
        assert!(kid(&last) != second && count > 50, "{count}");
        load.servers[1].me(&last.access).await.assert_status(200);
    }
}
