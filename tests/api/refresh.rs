//! `POST /api/v1/sessions/refresh`: one token for its successor.

use crate::support::Server;

both_backends! {
    the_current_token_is_exchanged_for_a_new_pair,
}

async fn the_current_token_is_exchanged_for_a_new_pair(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    assert_ne!(first.refresh, second.refresh);
    assert_ne!(first.jti(), second.jti());
    assert_eq!(first.session, second.session);
    let row = server.session(first.session);
    assert_eq!(row.generation, 1);
    assert_eq!((row.token_digest, row.parent_digest), (second.digest(), Some(first.digest())));
    assert_eq!(row.access_jti, second.jti());
    assert_eq!(server.refreshes("rotated").await, 1);
    let other = server.another().await;
    other.me(&second.access).await.assert_status(200);
}
