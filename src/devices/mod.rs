//! Devices that user agents describe, and the places and networks of IP addresses.

mod device;
mod place;
mod user_agent;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use device::{Device, DeviceType};
pub(crate) use place::{Network, Place, distance_km};

use crate::config::{Config, GeoDatabase};

/// Recognizes devices and locates IP addresses. Clones share everything.
#[derive(Clone)]
pub struct Devices {
    geoip_database: Arc<RwLock<Option<GeoDatabase>>>,
}

impl Devices {
    /// Creates the lookup with the GeoIP database of the configuration, if it names one.
    pub fn new(config: &Config) -> Self {
        Self { geoip_database: Arc::new(RwLock::new(config.geoip_database.clone())) }
    }

    /// Replaces the GeoIP database by that of the configuration.
    pub fn reload(&self, config: &Config) {
        let mut database = self.geoip_database.write().unwrap_or_else(PoisonError::into_inner);
        database.clone_from(&config.geoip_database);
    }

    /// Returns the device that a user agent describes. Reads the first [`crate::types::MAX_USER_AGENT`] characters.
    pub fn device(&self, user_agent: Option<&str>) -> Device {
        user_agent.map_or_else(Device::default, user_agent::device)
    }

    /// Returns the place of an IP address. Returns `None` if the address is private or not in the database, or if no
    /// database is configured.
    pub fn place(&self, ip: IpAddr) -> Option<Place> {
        let database = self.geoip_database.read().unwrap_or_else(PoisonError::into_inner).clone();
        Place::find(&database?, ip)
    }

    /// Compiles the patterns for user agents, which takes some 50 ms. Otherwise the first call of [`Self::device`]
    /// does.
    pub fn warm_up(&self) {
        user_agent::warm_up();
    }
}
