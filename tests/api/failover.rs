//! A database that has lost commits: a failover to a standby that had not received them, or a backup.

use keyturn::clock::Clock;

use crate::support::proxy::{Proxy, Wire};
use crate::support::servers::Postgres;
use crate::support::{Backend, Deployment, Response, Server, Tokens, until, variable};

scaled_only! {
    a_revocation_with_a_transaction_id_that_was_used_before_is_read_after_a_failover,
    a_revocation_that_the_database_has_lost_is_written_again,
    a_change_of_roles_whose_revocation_was_lost_still_ends_the_former_tokens,
}

/// A database of the test's own, a server that reaches it by a wire, and no Redis.
struct World {
    postgres: Postgres,
    proxy: Proxy,
    server: Server,
}

impl World {
    async fn new() -> Self {
        let postgres = Postgres::start(&[]);
        let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
        let (proxy, url) = Proxy::before(&deployment.database_url()).await;
        let server = Server::start(&deployment, &[("DATABASE_URL", &url), ("REDIS_URL", "")], Clock::default()).await;
        Self { postgres, proxy, server }
    }

    /// Restarts the database and changes it by `statements` before the server sees it again, as a failover would.
    async fn fail_over(&mut self, statements: &str) {
        self.proxy.set(Wire::Cut);
        self.postgres.stop();
        self.postgres.start_again();
        self.server.sql(statements);
        self.proxy.set(Wire::Open);
    }
}

/// Refreshes until the server has found its database again.
async fn refresh(server: &Server, tokens: &Tokens) -> Response {
    until("the database to be found again", async || {
        Some(server.refresh(&tokens.refresh).await).filter(|answer| answer.status != 503)
    })
    .await
}

async fn until_refused(server: &Server, tokens: &Tokens) {
    until("the access token to be refused", async || (server.me(&tokens.access).await.status == 401).then_some(()))
        .await;
}

async fn a_revocation_with_a_transaction_id_that_was_used_before_is_read_after_a_failover(_: Backend) {
    let mut world = World::new().await;
    let tokens = world.server.register().await;
    world.server.me(&tokens.access).await.assert_status(200);
    let session = world.server.literal(tokens.session.0);
    world
        .fail_over(&format!(
            "UPDATE sessions SET revoked_at = now(), revoked_reason = 'logout' WHERE id = {session};
             INSERT INTO revocations (txid, session_id, user_id, reason, revoked_at, expires_at)
             SELECT 1, id, user_id, 'logout', now(), access_expires_at FROM sessions WHERE id = {session}"
        ))
        .await;
    until_refused(&world.server, &tokens).await;
}

async fn a_revocation_that_the_database_has_lost_is_written_again(_: Backend) {
    let mut world = World::new().await;
    let ended = world.server.register().await;
    let live = world.server.register().await;
    world.server.logout(&ended.access).await.assert_status(204);
    let lost = "UPDATE sessions SET revoked_at = NULL, revoked_reason = NULL; DELETE FROM revocations";
    world.fail_over(lost).await;
    let row = until("the revocation to be written again", async || {
        Some(world.server.session(ended.session)).filter(|row| row.revoked_at.is_some())
    })
    .await;
    assert_eq!(row.revoked_reason.as_deref(), Some("logout"));
    until("the log to be written again", async || (world.server.count("revocations") == 1).then_some(())).await;
    let another = world.server.another().await;
    for server in [&world.server, &another] {
        refresh(server, &ended).await.assert_problem(401, "session_revoked");
        server.me(&ended.access).await.assert_problem(401, "invalid_token");
        server.me(&live.access).await.assert_status(200);
    }
    world.server.refreshed(&live).await;
    assert_eq!(world.server.count("revocations"), 1, "what the database has is not written twice");
}

async fn a_change_of_roles_whose_revocation_was_lost_still_ends_the_former_tokens(_: Backend) {
    let mut world = World::new().await;
    let admin = crate::audit::administrator(&world.server).await;
    let tokens = world.server.register().await;
    let before = world.server.session(tokens.session).revision;
    let change = world.server.patch(&format!("/api/v1/admin/users/{}", tokens.user)).bearer(&admin.access);
    change.json(&serde_json::json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    let lost = format!(
        "UPDATE sessions SET revision = {before}, valid_from_revision = 0 WHERE user_id = {}; DELETE FROM revocations",
        world.server.literal(tokens.user.0)
    );
    world.fail_over(&lost).await;
    until("the revocation to be written again", async || (world.server.count("revocations") == 1).then_some(())).await;
    until_refused(&world.server, &tokens).await;
    // The next token is of a later revision than the revocation: no client is refused in a loop.
    let next = Tokens::of(&refresh(&world.server, &tokens).await);
    world.server.me(&next.access).await.assert_status(200);
}
