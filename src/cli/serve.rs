//! `keyturn serve`.

use std::io::{self, IsTerminal as _};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use keyturn::app::{self, App};
use keyturn::clock::Clock;
use keyturn::config::Config;
use tracing_subscriber::EnvFilter;

use super::Outcome;
use super::output::say;

pub fn run(config: &Config) -> Outcome {
    start_log(config);
    // Before anything else, so that a port that is taken is told at once.
    let listener =
        TcpListener::bind(config.bind).map_err(|error| format!("cannot listen on {}: {error}", config.bind))?;
    actix_web::rt::System::new().block_on(async {
        let (app, background) = App::build(config, Clock::default()).await?;
        if app::is_alone(config) {
            tracing::warn!(
                "without REDIS_URL this server shares no cache: run it alone, or what another server ends is good here for \
                 up to half a second, and what another server refreshes until it expires"
            );
        }
        let devices = app.devices.clone();
        let (server, address) = app.serve(listener)?;
        // A server whose greeting nobody reads serves all the same.
        drop(greet(config, address));
        // Beside the requests, so that none waits for it, and after the greeting.
        std::thread::spawn(move || devices.warm_up());
        tracing::info!(%address, version = super::VERSION, "listening");
        server.await?;
        background.finish().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// For people on a terminal, as JSON for machines elsewhere.
fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().flatten_event(true).init();
    }
}

/// Tells a newcomer what to do next.
fn greet(config: &Config, address: SocketAddr) -> io::Result<()> {
    let url = config.public_url.as_str().trim_end_matches('/');
    say!("keyturn {} listens on http://{address}", super::VERSION)?;
    say!(
        r#"
Make the first administrator:

    keyturn user create you@example.com --admin

Try it:

    T=$(curl -sS {url}/api/v1/auth/register -H 'Content-Type: application/json' -d '{{"email":"guest-'$RANDOM$$'@example.com","password":"seven ravens over the harbour"}}'); echo "$T"
    T=$(curl -sS {url}/api/v1/sessions/refresh -H 'Content-Type: application/json' -d "{{\"refresh_token\":\"$(expr "$T" : '.*"refresh_token":"\([^"]*\)')\"}}"); echo "$T"
    curl -sS {url}/api/v1/auth/me -H "Authorization: Bearer $(expr "$T" : '.*"access_token":"\([^"]*\)')"; echo
"#
    )
}
