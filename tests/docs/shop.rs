use std::env::var;
use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Json, Router};
use keyturn_verify::client::{LiveVerifier, Settings};
use keyturn_verify::tower::Authentication;
use keyturn_verify::{Demand, VerifiedToken};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::new(var("ISSUER")?, "keyturn", var("CLIENT_ID")?, var("CLIENT_SECRET")?);
    let verifier = LiveVerifier::start(settings)?;
    verifier.ready().await;
    let people = Authentication::new(verifier, Demand::default().role("user"));
    let app = Router::new().route("/orders", get(orders)).layer(people);
    let listener = tokio::net::TcpListener::bind(var("LISTEN")?).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn orders(Extension(token): Extension<Arc<VerifiedToken>>) -> Json<Value> {
    Json(json!([{"item": "A map of the harbour", "of": token.claims.sub}]))
}
