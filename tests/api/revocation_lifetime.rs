//! A revocation outlives every access token that it revokes, whatever the settings of whoever revokes.

use diesel::prelude::*;
use keyturn::clock::Clock;
use keyturn::db::schema::revocations;
use keyturn::types::{SessionId, Timestamp};

use crate::support::process::command;
use crate::support::{Backend, Deployment, Server, Tokens, until};

both_backends! {
    a_command_with_a_shorter_lifetime_revokes_for_as_long_as_tokens_live,
    a_server_with_a_shorter_lifetime_revokes_for_as_long_as_tokens_live,
    a_replay_on_a_server_with_a_longer_lifetime_outlives_no_revocation,
}

/// A lifetime that is shorter than the default by a quarter of an hour but one minute.
const SHORT: [(&str, &str); 1] = [("ACCESS_TOKEN_TTL", "60")];

/// Asserts that the revocation of a session outlives these tokens, in the log and in the cache.
fn assert_outlives(server: &Server, session: SessionId, tokens: &[&Tokens]) {
    let latest = tokens.iter().map(|tokens| tokens.claims()["exp"].as_i64().unwrap()).max().unwrap();
    let expires_at: Timestamp = revocations::table
        .filter(revocations::session_id.eq(session))
        .filter(revocations::before_revision.is_null())
        .select(revocations::expires_at)
        .first(&mut server.conn())
        .unwrap();
    assert!(expires_at.as_secs() > latest, "{expires_at} is before {latest}");
    if server.backend == Backend::Scaled {
        let marks = server.redis_keys(&format!("*{{{session}}}:revoked"));
        assert_eq!(marks.len(), 1, "{marks:?}");
        let ttl: i64 = server.redis(&["PTTL", &marks[0]]);
        let now = server.clock.now().as_millis();
        assert!(now + ttl > latest * 1000, "the mark ends {} ms too early", latest * 1000 - now - ttl);
        assert_eq!(server.redis_keys(&format!("*{{{session}}}:entry")), Vec::<String>::new());
    }
}

async fn a_command_with_a_shorter_lifetime_revokes_for_as_long_as_tokens_live(backend: Backend) {
    let server = Server::with(backend, &[]).await;
    let tokens = server.register().await;
    server.me(&tokens.access).await.assert_status(200);
    let output = command(&server, &SHORT).args(["user", "disable", &tokens.email]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    until("the revocation", async || (server.me(&tokens.access).await.status == 401).then_some(())).await;
    assert_outlives(&server, tokens.session, &[&tokens]);
}

async fn a_server_with_a_shorter_lifetime_revokes_for_as_long_as_tokens_live(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let usual = Server::start(&deployment, &[], clock.clone()).await;
    let short = Server::start(&deployment, &SHORT, clock).await;
    let first = usual.register().await;
    let second = short.refreshed(&first).await;
    assert!(second.claims()["exp"].as_i64() < first.claims()["exp"].as_i64());
    short.logout(&second.access).await.assert_status(204);
    assert_outlives(&short, first.session, &[&first, &second]);
}

async fn a_replay_on_a_server_with_a_longer_lifetime_outlives_no_revocation(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let short = Server::start(&deployment, &SHORT, clock.clone()).await;
    let usual = Server::start(&deployment, &[], clock).await;
    let first = short.register().await;
    let second = short.refreshed(&first).await;
    let again = usual.refreshed(&first).await;
    assert_eq!(again.jti(), second.jti(), "it is a replay");
    short.logout(&second.access).await.assert_status(204);
    assert_outlives(&short, first.session, &[&first, &second, &again]);
}
