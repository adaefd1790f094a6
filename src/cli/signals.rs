//! Signals, which are handled from the first instruction on: the kernel delivers only those that are handled to the
//! first process of a container.

use std::io;
use std::process::exit;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// A signal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT: end, after the requests that have begun.
    Stop,
    /// SIGQUIT: end at once.
    Quit,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// Carries out what a signal asks for.
type Handler = Box<dyn FnMut(Signal) + Send>;

/// The signals of a server. Until it serves, those that end it end the process.
pub(super) struct ServerSignals {
    handler: Arc<Mutex<Option<Handler>>>,
}

impl ServerSignals {
    /// Handles all signals from now on. SIGHUP is ignored until the server serves, as it reads its configuration then.
    ///
    /// # Errors
    /// The system allows no thread or no handler.
    pub(super) fn handle() -> io::Result<Self> {
        let handler = Arc::<Mutex<Option<Handler>>>::default();
        let own = Arc::clone(&handler);
        watch(move |signal, _| match &mut *own.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(handler) => handler(signal),
            // Nothing has begun that would have to end, and no transaction outlives the process.
            None if signal != Signal::Reload => exit(0),
            None => {}
        })?;
        Ok(Self { handler })
    }

    /// Lets `handler` carry out what further signals ask for, on a thread of its own.
    pub(super) fn forward(self, handler: impl FnMut(Signal) + Send + 'static) {
        *self.handler.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(handler));
    }
}

/// Lets signals end a command that is the first process of a container, as they would end it elsewhere.
///
/// # Errors
/// The system allows no thread or no handler.
pub(super) fn end_command() -> io::Result<()> {
    if std::process::id() == 1 { watch(|_, number| exit(128 + number)) } else { Ok(()) }
}

/// Calls `handle` with each signal and its number, on a thread of its own. Returns once they are handled.
fn watch(mut handle: impl FnMut(Signal, i32) + Send + 'static) -> io::Result<()> {
    let (ready, is_ready) = mpsc::channel();
    let started = move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut quit = signal(SignalKind::quit())?;
            let mut hangup = signal(SignalKind::hangup())?;
            let _ = ready.send(());
            loop {
                let (signal, kind) = tokio::select! {
                    _ = terminate.recv() => (Signal::Stop, SignalKind::terminate()),
                    _ = interrupt.recv() => (Signal::Stop, SignalKind::interrupt()),
                    _ = quit.recv() => (Signal::Quit, SignalKind::quit()),
                    _ = hangup.recv() => (Signal::Reload, SignalKind::hangup()),
                };
                handle(signal, kind.as_raw_value());
            }
        })
    };
    let watching = thread::Builder::new().name("signals".to_owned()).spawn(started)?;
    // The thread ends before it is ready only with an error.
    match is_ready.recv() {
        Ok(()) => Ok(()),
        Err(_) => watching.join().unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended"))),
    }
}
