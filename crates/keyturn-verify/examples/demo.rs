//! Takes the time until a verifier that never asks refuses the token of a session that has ended:
//!
//! ```sh
//! ISSUER=… CLIENT_ID=… CLIENT_SECRET=… TOKEN=… cargo run -p keyturn-verify --features client --example demo
//! ```
//!
//! End the session when it says so. It is asked every millisecond whether the token is valid.

use std::env::var;
use std::error::Error;
use std::time::{Duration, Instant};

use keyturn_verify::Moment;
use keyturn_verify::client::{LiveVerifier, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let audience = var("AUDIENCE").unwrap_or_else(|_| "keyturn".to_owned());
    let settings = Settings::new(var("ISSUER")?, audience, var("CLIENT_ID")?, var("CLIENT_SECRET")?);
    let verifier = LiveVerifier::start(settings)?;
    verifier.ready().await;
    let token = var("TOKEN")?;
    println!("valid: {}", verifier.verify(&token, Moment::now())?.claims.sub);
    let start = Instant::now();
    loop {
        if let Err(refusal) = verifier.verify(&token, Moment::now()) {
            println!("refused: {}, after {} ms", refusal.code(), start.elapsed().as_millis());
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
