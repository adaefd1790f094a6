//! Places and networks of IP addresses, and distances between places.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use maxminddb::geoip2;
use serde::{Deserialize, Serialize};

use crate::config::GeoDatabase;
use crate::db::types::Json;

/// The mean radius of the earth, in distance_km.
const EARTH_RADIUS_KM: f64 = 6371.0;

/// The place of an IP address according to a GeoIP database, as the columns `location` store it. Half of such places
/// are wrong by tens of distance_km, and the address of a mobile network or a VPN can be anywhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The country's code of two letters (ISO 3166-1).
    pub country: Option<String>,
    /// The country's name in English.
    pub country_name: Option<String>,
    /// The city's name in English.
    pub city: Option<String>,
    /// The latitude in degrees, positive in the north.
    pub latitude: Option<f64>,
    /// The longitude in degrees, positive in the east.
    pub longitude: Option<f64>,
    /// The radius in distance_km around the coordinates within which two thirds of the addresses are.
    pub accuracy_km: Option<u16>,
}

impl Place {
    /// Looks up the place of an IP address. Returns `None` if the database has no country and no city for it.
    pub(super) fn find(database: &GeoDatabase, ip: IpAddr) -> Option<Self> {
        let found = database.city(ip.to_canonical())?;
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let geoip2::City { country, city, location, .. } = found;
        let place = Self {
            country: owned(country.iso_code),
            country_name: owned(country.names.english),
            city: owned(city.names.english),
            latitude: location.latitude,
            longitude: location.longitude,
            accuracy_km: location.accuracy_radius,
        };
        (place.country.is_some() || place.city.is_some()).then_some(place)
    }

    /// Reads a place from a column. Returns `None` if the column has no country and no city.
    pub fn from_column(column: &Json) -> Option<Self> {
        let place: Self = serde_json::from_value(column.0.clone()).ok()?;
        (place.country.is_some() || place.city.is_some()).then_some(place)
    }

    /// Returns the name that users see: `London, United Kingdom`.
    pub fn label(&self) -> String {
        let country = self.country_name.as_deref().or(self.country.as_deref());
        let parts: Vec<&str> = self.city.as_deref().into_iter().chain(country).collect();
        parts.join(", ")
    }
}

impl From<&Place> for Json {
    fn from(place: &Place) -> Self {
        Self(serde_json::json!(place))
    }
}

/// Returns the distance in distance_km between two places along the earth's surface. Returns `None` if one of them has
/// no coordinates.
pub(crate) fn distance_km(a: &Place, b: &Place) -> Option<f64> {
    let radians = |place: &Place| Some((place.latitude?.to_radians(), place.longitude?.to_radians()));
    let (lat_a, lon_a) = radians(a)?;
    let (lat_b, lon_b) = radians(b)?;
    // The haversine formula stays precise for places that are close to each other.
    let half_chord = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
    let h = half_chord(lat_a, lat_b) + lat_a.cos() * lat_b.cos() * half_chord(lon_a, lon_b);
    Some(2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin())
}

/// The network of an IP address, about the size of a household or an office: the first 24 bits of an IPv4 address or
/// the first 64 bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network {
    prefix: IpNet,
}

impl Network {
    /// Returns the network that an IP address belongs to.
    pub(crate) fn from_ip(ip: IpAddr) -> Self {
        #[expect(clippy::expect_used, reason = "the prefixes are constants within their addresses")]
        let prefix = match ip.to_canonical() {
            IpAddr::V4(v4) => IpNet::V4(Ipv4Net::new(v4, 24).expect("24 is at most 32").trunc()),
            IpAddr::V6(v6) => IpNet::V6(Ipv6Net::new(v6, 64).expect("64 is at most 128").trunc()),
        };
        Self { prefix }
    }
}

/// Formats the network in CIDR notation: `203.0.113.0/24`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(latitude: f64, longitude: f64) -> Place {
        Place { latitude: Some(latitude), longitude: Some(longitude), ..Place::default() }
    }

    #[test]
    fn distances_are_those_of_the_earth() {
        for (a, b, expected) in [
            ((51.5, -0.1), (40.7, -74.0), 5570.0),
            ((52.5, 13.4), (48.9, 2.4), 875.0),
            ((35.7, 139.7), (-33.9, 151.2), 7830.0),
            ((0.0, 179.5), (0.0, -179.5), 111.0),
            ((0.0, 0.0), (0.0, 180.0), 20015.0),
            ((90.0, 0.0), (-90.0, 77.0), 20015.0),
            ((10.0, 10.0), (10.0, 10.0), 0.0),
        ] {
            let a = at(a.0, a.1);
            let b = at(b.0, b.1);
            let distance = distance_km(&a, &b).unwrap();
            assert!((distance - expected).abs() <= 10.0, "{distance} for {expected}");
            assert_eq!(distance_km(&b, &a), Some(distance));
        }
    }

    #[test]
    fn a_place_without_coordinates_is_no_distance_away() {
        let nowhere = Place { country: Some("BT".to_owned()), ..Place::default() };
        assert_eq!(distance_km(&nowhere, &at(0.0, 0.0)), None);
        assert_eq!(distance_km(&at(0.0, 0.0), &Place { latitude: Some(1.0), ..Place::default() }), None);
    }

    #[test]
    fn a_place_has_the_best_name_that_is_known() {
        let place = |city: Option<&str>, name: Option<&str>, country: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Place { country: owned(country), country_name: owned(name), city: owned(city), ..Place::default() }.label()
        };
        assert_eq!(place(Some("London"), Some("United Kingdom"), Some("GB")), "London, United Kingdom");
        assert_eq!(place(None, Some("Bhutan"), Some("BT")), "Bhutan");
        assert_eq!(place(Some("London"), None, Some("GB")), "London, GB");
        assert_eq!(place(Some("London"), None, None), "London");
    }

    #[test]
    fn a_column_keeps_a_place() {
        let place = Place {
            country: Some("GB".to_owned()),
            country_name: Some("United Kingdom".to_owned()),
            city: Some("London".to_owned()),
            accuracy_km: Some(10),
            ..at(51.5142, -0.0931)
        };
        assert_eq!(Place::from_column(&Json::from(&place)), Some(place));
        assert_eq!(Place::from_column(&Json(json!({"country": "BT", "city": null}))).unwrap().label(), "BT");
        for other in [json!({}), json!(null), json!({"country": null, "city": null})] {
            assert_eq!(Place::from_column(&Json(other)), None);
        }
    }

    #[test]
    fn a_network_is_24_bits_of_an_ipv4_address_and_64_of_an_ipv6_address() {
        let network = |text: &str| Network::from_ip(text.parse().unwrap());
        assert_eq!(network("203.0.113.7").to_string(), "203.0.113.0/24");
        assert_eq!(network("203.0.113.7"), network("::ffff:203.0.113.250"));
        assert_ne!(network("203.0.113.7"), network("203.0.112.7"));
        assert_eq!(network("2001:db8:1:2:3::4").to_string(), "2001:db8:1:2::/64");
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }
}
