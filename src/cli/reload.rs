//! Reloads what a running server can change without a restart, on SIGHUP.

use std::error::Error;
use std::path::PathBuf;

use crate::app::App;
use crate::config::{EffectiveSetting, RELOADED};

use super::loaded;
use super::log::Log;

/// The configuration of a running server, which can be read again.
pub(super) struct Reloader {
    /// The file with settings.
    pub file: Option<PathBuf>,
    /// The settings at the start, without secrets: a changed secret is not noticed.
    pub settings: Vec<EffectiveSetting>,
    /// The running server.
    pub app: App,
    /// Its log.
    pub log: Log,
}

impl Reloader {
    /// Reads the configuration and the files that it names again. If any of it is wrong, everything stays as it is.
    pub(super) fn reload(&mut self) {
        match self.try_reload() {
            Ok(changed) if changed.is_empty() => {
                tracing::info!(reloaded = RELOADED.join(", "), "the configuration was reloaded");
            }
            Ok(changed) => tracing::warn!(
                reloaded = RELOADED.join(", "),
                needs_restart = changed.join(", "),
                "the configuration was reloaded, but not all that has changed"
            ),
            Err(error) => {
                tracing::error!(error = %error.to_string().replace('\n', "; "), "nothing was reloaded");
            }
        }
    }

    /// Returns the names of the settings that have changed and need a restart.
    fn try_reload(&mut self) -> Result<Vec<&'static str>, Box<dyn Error>> {
        let loaded = loaded(self.file.clone())?;
        let changed = self.settings.iter().zip(&loaded.settings).filter(|(old, new)| old.value != new.value);
        let changed = changed.map(|(setting, _)| setting.name).filter(|name| !RELOADED.contains(name)).collect();
        let config = loaded.into_existing().ok_or("the generated secret is not there any more")?;
        self.app.reload(&config)?;
        self.log.set_level(&config.log)?;
        Ok(changed)
    }
}
