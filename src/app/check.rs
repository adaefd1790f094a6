//! What a server needs that can be checked before it is started.

use super::{StartError, data_dir};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::pages::Pages;
use crate::{db, mail};

/// Checks everything that a server needs besides the settings themselves and what is elsewhere: the files and the
/// folder that the settings name.
///
/// # Errors
/// A template, a certificate or another file cannot be used, or the folder of the data cannot be written to.
pub fn check(config: &Config) -> Result<(), StartError> {
    mail::check(config)?;
    Pages::new(config)?;
    db::check_files(&config.database).map_err(StartError::DatabaseFiles)?;
    data_dir::check(config).map_err(StartError::DataDir)?;
    Cache::new(&config.cache, Clock::default(), &Metrics::new()).map_err(StartError::Cache)?;
    Ok(())
}
