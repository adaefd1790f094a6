//! What a service manager such as systemd is told (`sd_notify(3)`): that the server serves, reloads and stops, and that
//! it makes progress. Without a service manager, nothing is told to anybody.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr as SocketPath, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::app::App;

/// The longest that a service manager which does not listen holds up the server.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells that the server serves on `address`.
pub(super) fn tell_ready(address: SocketAddr) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("listens on {address}"))]);
}

/// Runs `reload`, and tells when it begins and ends.
pub(super) fn tell_reload(reload: impl FnOnce()) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the time for the service manager could not be read"),
    }
    reload();
    tell(&[NotifyState::Ready]);
}

/// Tells that the server stops.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Starts to feed the watchdog of the service manager, if there is one, as long as the server makes progress.
pub(super) fn start_watchdog(app: App) {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(feed_watchdog(app, limit / 4));
    }
}

/// Tells every `interval` that the server makes progress, unless it makes none.
async fn feed_watchdog(app: App, interval: Duration) {
    let mut was_stalled = false;
    loop {
        let progress = app.check_progress().await;
        match &progress {
            Ok(()) => tell(&[NotifyState::Watchdog]),
            Err(stall) if !was_stalled => tracing::error!(error = %stall, "the server makes no progress"),
            Err(_) => {}
        }
        was_stalled = progress.is_err();
        tokio::time::sleep(interval).await;
    }
}

/// Tells the service manager, if there is one. Its failure is no reason to stop.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = send(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

fn send(state: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketPath::from_abstract_name(name)?,
        _ => SocketPath::from_pathname(&name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // The crate that knows the messages would wait for ever for a manager that does not read them.
    match state {
        [NotifyState::Watchdog] => socket.set_nonblocking(true)?,
        _ => socket.set_write_timeout(Some(PATIENCE))?,
    }
    let message: String = state.iter().map(|state| format!("{state}\n")).collect();
    socket.send_to_addr(message.as_bytes(), &address).map(drop)
}
