//! A change of `JWT_SECRET`: servers with the former and the new one side by side, what stays valid, and what is
//! encrypted anew.

use std::sync::Arc;

use keyturn::clock::Clock;
use keyturn::secret::MasterSecret;
use keyturn::tokens::refresh::RefreshToken;
use serde_json::{Value, json};

use crate::mfa::{challenge, completing, person};
use crate::support::process::command;
use crate::support::servers::free_port;
use crate::support::{Backend, Deployment, PASSWORD, Process, Server, Tokens, process, random_hex, until};

both_backends! {
    servers_with_the_former_and_the_new_secret_take_each_others_tokens,
    a_refresh_is_repeated_with_the_same_successor_across_the_change,
    all_that_was_sealed_opens_without_the_former_secret_after_the_change,
    one_of_many_servers_encrypts_anew,
    failures_in_a_row_are_counted_across_the_change,
    operators_are_told_when_the_former_secret_may_go,
    a_server_without_the_former_secret_says_what_needs_it,
}

/// From the first server with a new secret until it is in force.
const CHANGEOVER: u64 = 600;

/// From then until the rest is encrypted under it.
const SETTLED: u64 = 61;

/// A deployment whose secret is changed.
struct Change {
    deployment: Arc<Deployment>,
    clock: Clock,
    new: String,
}

impl Change {
    fn of(deployment: Arc<Deployment>) -> Self {
        Self { deployment, clock: Clock::default(), new: random_hex::<32>() }
    }

    /// A server with the former secret alone.
    async fn former(&self) -> Server {
        Server::start(&self.deployment, &[], self.clock.clone()).await
    }

    fn settings(&self) -> [(&str, &str); 3] {
        // Tests register often to see which secret is in force.
        let no_limit = ("LIMIT_REGISTER_ADDRESS", "off");
        [("JWT_SECRET", &self.new), ("JWT_SECRET_PREVIOUS", &self.deployment.secret), no_limit]
    }

    /// A server with both.
    async fn both(&self) -> Server {
        Server::start(&self.deployment, &self.settings(), self.clock.clone()).await
    }

    /// A server with the new secret alone.
    async fn new_alone(&self) -> Server {
        Server::start(&self.deployment, &[("JWT_SECRET", &self.new)], self.clock.clone()).await
    }

    /// Whether a refresh token was made with the new secret.
    fn is_new(&self, tokens: &Tokens) -> bool {
        let key = MasterSecret::parse(&self.new).unwrap().refresh_token_key();
        RefreshToken::parse(&tokens.refresh, &key).is_some()
    }

    /// Waits until a server with both puts the new one in force.
    async fn until_in_force(&self, server: &Server) {
        server.advance(CHANGEOVER);
        until("the new secret to be in force", async || self.is_new(&server.register().await).then_some(())).await;
    }

    async fn until_resealed(&self, server: &Server) {
        server.advance(SETTLED);
        let resealed = "secrets WHERE resealed_at IS NOT NULL";
        until("all to be encrypted anew", async || (server.count(resealed) == 1).then_some(())).await;
    }
}

async fn servers_with_the_former_and_the_new_secret_take_each_others_tokens(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    let former = change.former().await;
    let at_former = former.register().await;
    let both = change.both().await;
    let at_both = both.register().await;
    for tokens in [&at_former, &at_both] {
        for server in [&former, &both] {
            server.me(&tokens.access).await.assert_status(200);
        }
        let next = both.refreshed(tokens).await;
        let next = former.refreshed(&next).await;
        let next = both.refreshed(&next).await;
        former.me(&next.access).await.assert_status(200);
    }
    // Once it is in force, a server with both still takes what the former one has made.
    let waiting = former.register().await;
    let (kept, used) = (former.register().await, former.register().await);
    drop(former);
    change.until_in_force(&both).await;
    for tokens in [&waiting, &kept, &used] {
        both.me(&tokens.access).await.assert_status(200);
        let next = both.refreshed(tokens).await;
        assert!(change.is_new(&next) && !change.is_new(tokens));
        let next = both.refreshed(&next).await;
        both.me(&next.access).await.assert_status(200);
    }
    assert_eq!(both.count("sessions WHERE revoked_at IS NOT NULL"), 0);
}

async fn a_refresh_is_repeated_with_the_same_successor_across_the_change(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    let both = change.both().await;
    both.clock.hold();
    let first = both.register().await;
    both.advance(CHANGEOVER - 5);
    let second = both.refreshed(&first).await;
    assert!(!change.is_new(&second));
    both.advance(5);
    until("the new secret to be in force", async || change.is_new(&both.register().await).then_some(())).await;
    let repeated = both.refreshed(&first).await;
    assert_eq!(repeated.refresh, second.refresh, "within the window");
    both.advance(60);
    let recovered = both.refreshed(&first).await;
    assert_eq!(recovered.refresh, second.refresh, "after it");
    let third = both.refreshed(&second).await;
    assert!(change.is_new(&third));
    assert_eq!(both.refreshed(&second).await.refresh, third.refresh);
}

async fn all_that_was_sealed_opens_without_the_former_secret_after_the_change(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    // A mail server that is not there: emails wait.
    let relay = format!("smtp://127.0.0.1:{}", free_port());
    let waits = [("SMTP_URL", relay.as_str())];
    let former = Server::start(&change.deployment, &waits, change.clock.clone()).await;
    let ada = person(&former, &change.clock).await;
    assert!(former.count("outbox") > 0);
    drop(former);
    let settings = [change.settings().as_slice(), &waits].concat();
    let both = Server::start(&change.deployment, &settings, change.clock.clone()).await;
    change.until_in_force(&both).await;
    change.until_resealed(&both).await;
    let last = both.login_completed(&ada.tokens.email, &ada.recovery_codes[0]).await;
    drop(both);

    let new = change.new_alone().await;
    new.me(&last.access).await.assert_status(200);
    new.refreshed(&last).await;
    // A recovery code, and one of the app.
    new.login_completed(&ada.tokens.email, &ada.recovery_codes[1]).await;
    let token = challenge(&new, &ada.tokens.email).await;
    let code = ada.app.code(new.clock.now(), 0);
    completing(&new, &token, "totp", &code).send().await.assert_status(200);
    // Without a mail server, emails become files once they are due.
    new.advance(1000);
    until("the emails to be opened", async || (new.count("outbox") == 0).then_some(())).await;
}

impl Server {
    /// Logs in with the second factor.
    async fn login_completed(&self, email: &str, recovery_code: &str) -> Tokens {
        let token = challenge(self, email).await;
        Tokens::of(&completing(self, &token, "recovery_code", recovery_code).send().await)
    }
}

async fn one_of_many_servers_encrypts_anew(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    let former = change.former().await;
    let mut people = Vec::new();
    for _ in 0..3 {
        people.push(person(&former, &change.clock).await);
    }
    drop(former);
    let servers = [change.both().await, change.both().await, change.both().await];
    assert_eq!(servers[0].count("secrets"), 2);
    change.until_in_force(&servers[0]).await;
    change.until_resealed(&servers[0]).await;
    for (server, ada) in servers.iter().zip(&people) {
        server.login_completed(&ada.tokens.email, &ada.recovery_codes[0]).await;
        server.me(&server.register().await.access).await.assert_status(200);
    }
    // A key that is made from now on.
    assert_eq!(servers[0].count("secrets"), 2);
    drop(servers);
    let new = change.new_alone().await;
    new.me(&new.register().await.access).await.assert_status(200);
}

async fn failures_in_a_row_are_counted_across_the_change(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    let both = change.both().await;
    both.clock.hold();
    let ada = both.register().await;
    let wrong = async || both.try_login(&ada.email, "wrong horse wrong battery").await;
    both.advance(CHANGEOVER - 60);
    for _ in 0..5 {
        wrong().await.assert_problem(401, "invalid_credentials");
    }
    both.advance(60);
    until("the new secret to be in force", async || change.is_new(&both.register().await).then_some(())).await;
    wrong().await.assert_problem(401, "invalid_credentials");
    wrong().await.assert_problem(429, "too_many_failures");
    both.try_login(&ada.email, PASSWORD).await.assert_problem(429, "too_many_failures");
}

/// What `keyturn secret status --json` prints.
fn status(deployment: &Deployment, settings: &[(&str, &str)]) -> Value {
    let output = command(deployment, settings).args(["secret", "status", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Lets all secrets be in force, and the tokens of all sessions be issued, these seconds earlier.
fn age(deployment: &Deployment, seconds: i64) {
    let before = match deployment.backend {
        Backend::Embedded => format!("{seconds} * 1000"),
        Backend::Scaled => format!("interval '{seconds} seconds'"),
    };
    deployment.sql(&format!("UPDATE secrets SET in_force_from = in_force_from - {before}"));
    deployment.sql(&format!("UPDATE sessions SET issued_at = issued_at - {before}"));
}

async fn operators_are_told_when_the_former_secret_may_go(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    let deployment = &change.deployment;
    let former = Process::start(deployment, &[]);
    let ada = person(&former, &change.clock).await;
    drop(former);
    let unchanged = status(deployment, &[]);
    assert_eq!((&unchanged["previous"], &unchanged["removable"]), (&json!(false), &json!(true)));

    let both = Process::start(deployment, &change.settings());
    let waiting = status(deployment, &change.settings());
    assert_eq!((&waiting["previous"], &waiting["in_force"]), (&json!(true), &json!(false)));
    assert_eq!((&waiting["sealed"]["signing_keys"], &waiting["sealed"]["totp_secrets"]), (&json!(1), &json!(1)));
    assert_eq!((&waiting["sessions"], &waiting["removable"]), (&json!(1), &json!(false)));

    age(deployment, 700);
    let resealed = "secrets WHERE resealed_at IS NOT NULL";
    until("all to be encrypted anew", async || (deployment.count(resealed) == 1).then_some(())).await;
    let resealed = status(deployment, &change.settings());
    assert_eq!(resealed["sealed"], json!({"signing_keys": 0, "totp_secrets": 0, "emails": 0}));
    assert_eq!((&resealed["in_force"], &resealed["removable"]), (&json!(true), &json!(false)));
    assert!(resealed["needed_until"].is_string());

    // The session goes on with a token of the new secret, and counters are as old as they get.
    let next = both.refreshed(&ada.tokens).await;
    assert!(change.is_new(&next));
    assert_eq!(status(deployment, &change.settings())["sessions"], 0);
    age(deployment, 86_400);
    assert_eq!(status(deployment, &change.settings())["removable"], true);
    let text = command(deployment, &change.settings()).args(["secret", "status"]).output().unwrap();
    assert!(String::from_utf8(text.stdout).unwrap().ends_with("JWT_SECRET_PREVIOUS may be removed.\n"));
}

async fn a_server_without_the_former_secret_says_what_needs_it(deployment: Arc<Deployment>) {
    let change = Change::of(deployment);
    let deployment = &change.deployment;
    let new_alone = [("JWT_SECRET", change.new.as_str())];
    let former = Process::start(deployment, &[]);
    let ada = former.register().await;
    drop(former);
    // Its keys are encrypted under the former one.
    drop(Process::start(deployment, &change.settings()));
    let (code, said) = process::try_serve(deployment, &new_alone);
    assert_ne!(code, Some(0));
    assert!(said.contains("JWT_SECRET"), "{said}");
    let doctor = |settings: &[(&str, &str)]| {
        let output = command(deployment, settings).arg("doctor").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(doctor(&new_alone).contains("WARN   secret: something may be encrypted under the former JWT_SECRET"));
    assert!(doctor(&change.settings()).contains("ok     secret: is being changed"));

    age(deployment, 700);
    let both = Process::start(deployment, &change.settings());
    let resealed = "secrets WHERE resealed_at IS NOT NULL";
    until("all to be encrypted anew", async || (deployment.count(resealed) == 1).then_some(())).await;
    drop(both);
    // It starts, and tells of the session that it cannot serve.
    let new = Process::start(deployment, &new_alone);
    until("the warning", async || new.log().contains("the former JWT_SECRET is still needed").then_some(())).await;
    new.refresh(&ada.refresh).await.assert_problem(401, "invalid_refresh_token");
    assert!(doctor(&new_alone).contains("ok     secret: nothing is encrypted under a former one"));
    // With the former secret, nobody is logged out.
    drop(new);
    let both = Process::start(deployment, &change.settings());
    both.refreshed(&ada).await;
    assert!(!both.log().contains("is still needed"));
}
