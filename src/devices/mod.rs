//! What is known of a client beyond its word: the device behind a user agent, the place and the network behind an
//! address.

mod device;
mod place;
mod user_agent;

use std::net::IpAddr;

pub use device::{Device, Kind};
pub use place::{Network, Place, kilometres};

use crate::config::{Config, GeoDatabase};

/// Tells devices and places. Clones share everything.
#[derive(Clone)]
pub struct Devices {
    places: Option<GeoDatabase>,
}

impl Devices {
    pub fn new(config: &Config) -> Self {
        Self { places: config.geoip_database.clone() }
    }

    /// The device behind a user agent, of which the first [`crate::client::MAX_USER_AGENT`] characters count.
    pub fn device(&self, user_agent: Option<&str>) -> Device {
        user_agent.map_or_else(Device::default, user_agent::device)
    }

    /// Where `address` is; `None` for private addresses, for those that the database does not know, and without one.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        Place::find(self.places.as_ref()?, address)
    }

    /// Gets ready to read user agents, which otherwise the first one waits for: some 50 ms of work.
    pub fn warm_up(&self) {
        user_agent::warm_up();
    }
}
