//! The database of places that `GEOIP_DATABASE` names, read whole at the start.

use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::{MaxMindDbError, Reader, WithinOptions, geoip2};

use super::parse::Parsed;

/// Networks that are looked at to see whether a database tells countries.
const SAMPLE: usize = 1000;

/// A database that tells countries, and cities if it has them. Clones share it.
///
/// It is in memory rather than mapped into it: a file that is overwritten where it lies must not take the server with it.
#[derive(Clone, Debug)]
pub struct GeoDatabase(Arc<Reader<Vec<u8>>>);

impl GeoDatabase {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is damaged or of another format, or tells no countries: in words that go on from its name.
    pub fn open(path: &str) -> Parsed<Self> {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let reader = Reader::from_source(bytes)
            .map_err(|error| format!("must be the path of a database in MaxMind's format (.mmdb): {error}"))?;
        match tells_countries(&reader) {
            Ok(true) => Ok(Self(Arc::new(reader))),
            Ok(false) => {
                let kind = &reader.metadata().database_type;
                Err(format!("must tell countries or cities, and this database, a {kind:?}, does not"))
            }
            Err(error) => Err(format!("is a damaged database: {error}")),
        }
    }

    /// What it has on `address`; `None` when that is nothing.
    pub fn city(&self, address: IpAddr) -> Option<geoip2::City<'_>> {
        // An IPv6 address in a database of IPv4 addresses is an error too.
        let found = self.0.lookup(address).and_then(|found| found.decode::<geoip2::City>());
        found.inspect_err(|error| tracing::debug!(%error, "no place for an address")).ok().flatten()
    }

    /// What it calls itself: `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.0.metadata().database_type
    }
}

fn tells_countries(reader: &Reader<Vec<u8>>) -> Result<bool, MaxMindDbError> {
    for network in reader.networks(WithinOptions::default())?.take(SAMPLE) {
        let Some(found) = network?.decode::<geoip2::City>()? else { continue };
        if found.country.iso_code.is_some() || found.city.names.english.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
