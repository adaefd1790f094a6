//! The database of `GEOIP_DATABASE`, which is read into memory at the start.

use std::net::IpAddr;
use std::sync::Arc;

use maxminddb::{MaxMindDbError, Reader, WithinOptions, geoip2};

use super::parse::Parsed;

/// The number of networks that are searched for a country or a city when a database is opened.
const SAMPLE_SIZE: usize = 1000;

/// A database of the countries, and maybe the cities, of IP addresses. Clones share it.
///
/// It is read into memory instead of being mapped, because overwriting a mapped file would crash the server.
#[derive(Clone, Debug)]
pub struct GeoDatabase {
    reader: Arc<Reader<Vec<u8>>>,
}

impl GeoDatabase {
    /// Reads a database from a file.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, has another format, or contains no countries and no cities.
    pub fn open(path: &str) -> Parsed<Self> {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let reader = Reader::from_source(bytes)
            .map_err(|error| format!("must be the path of a database in MaxMind's format (.mmdb): {error}"))?;
        match has_places(&reader) {
            Ok(true) => Ok(Self { reader: Arc::new(reader) }),
            Ok(false) => {
                let kind = &reader.metadata().database_type;
                Err(format!("must contain countries or cities; this database, {kind:?}, does not"))
            }
            Err(error) => Err(format!("is a damaged database: {error}")),
        }
    }

    /// Looks up the country and the city of an IP address. Returns `None` if the database has no entry for it.
    pub fn city(&self, ip: IpAddr) -> Option<geoip2::City<'_>> {
        // An IPv6 address in a database of IPv4 addresses is an error too.
        let found = self.reader.lookup(ip).and_then(|found| found.decode::<geoip2::City>());
        found.inspect_err(|error| tracing::debug!(%error, "the place of an IP address was not found")).ok().flatten()
    }

    /// Returns the type that the database declares, such as `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }
}

/// Returns whether one of the first networks has a country or a city.
fn has_places(reader: &Reader<Vec<u8>>) -> Result<bool, MaxMindDbError> {
    for network in reader.networks(WithinOptions::default())?.take(SAMPLE_SIZE) {
        let Some(found) = network?.decode::<geoip2::City>()? else { continue };
        if found.country.iso_code.is_some() || found.city.names.english.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
