//! Whether a new password is easy to guess is judged last: after whether its owner may set one at all.

use serde_json::json;

use crate::support::{Backend, PASSWORD, Response, Server, Tokens};

both_backends! {
    nobody_is_judged_where_registration_is_closed,
    a_guess_at_the_current_password_has_no_new_one_judged,
    judging_counts_as_an_attempt,
    a_new_password_is_judged_after_everything_else_is_right,
}

const REGISTER: &str = "/api/v1/auth/register";
const CHANGE: &str = "/api/v1/auth/password/change";

/// Easy to guess, and of the right length.
const GUESSABLE: &str = "password1234";

async fn change(server: &Server, tokens: &Tokens, current: &str, new: &str) -> Response {
    let body = json!({"current_password": current, "new_password": new});
    server.post(CHANGE).bearer(&tokens.access).json(&body).send().await
}

#[track_caller]
fn assert_guessable(answer: &Response, field: &str) {
    answer.assert_invalid(field);
    assert_eq!(answer.json()["errors"][0]["code"], "password_guessable");
}

async fn nobody_is_judged_where_registration_is_closed(backend: Backend) {
    let server = Server::with(backend, &[("REGISTRATION", "closed")]).await;
    let body = json!({"email": "ada@example.com", "password": GUESSABLE});
    server.post(REGISTER).json(&body).send().await.assert_problem(403, "registration_closed");
}

async fn a_guess_at_the_current_password_has_no_new_one_judged(server: Server) {
    let tokens = server.register().await;
    change(&server, &tokens, "wrong", GUESSABLE).await.assert_problem(401, "invalid_credentials");
    assert_guessable(&change(&server, &tokens, PASSWORD, GUESSABLE).await, "new_password");
    // What costs nothing to see is told at once.
    change(&server, &tokens, "wrong", "short").await.assert_invalid("new_password");
    change(&server, &tokens, "wrong", &"x".repeat(1025)).await.assert_invalid("new_password");
    server.login(&tokens.email).await;
}

async fn judging_counts_as_an_attempt(backend: Backend) {
    let limits = [("LIMIT_LOGIN_ACCOUNT", "2/3600"), ("LIMIT_REGISTER_ADDRESS", "2/3600")];
    let server = Server::with(backend, &limits).await;
    let tokens = server.register().await;
    assert_guessable(&change(&server, &tokens, PASSWORD, GUESSABLE).await, "new_password");
    assert_guessable(&change(&server, &tokens, PASSWORD, GUESSABLE).await, "new_password");
    change(&server, &tokens, PASSWORD, GUESSABLE).await.assert_problem(429, "too_many_requests");
    let body = json!({"email": "ada@example.com", "password": GUESSABLE});
    assert_guessable(&server.post(REGISTER).json(&body).send().await, "password");
    server.post(REGISTER).json(&body).send().await.assert_problem(429, "too_many_requests");
}

async fn a_new_password_is_judged_after_everything_else_is_right(server: Server) {
    let body = json!({"email": "nobody", "password": GUESSABLE, "name": " "});
    let answer = server.post(REGISTER).json(&body).send().await;
    let errors = answer.assert_problem(422, "invalid_input").json();
    let fields: Vec<&str> = errors["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["email", "name"]);
    assert_eq!(server.count("users"), 0);
}
