//! What an account's earlier sessions tell of a login: whether it comes from where its owner has been before.

use super::open::Login;
use super::store::{self, Earlier};
use super::{Parts, Sessions};
use crate::audit::{Event, Record};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::db::types::UserId;
use crate::db::{Conn, DbResult};
use crate::devices::{Device, Network, Place, kilometres};
use crate::mail::{Letter, Occasion, Unusual};
use crate::tokens::one_time::{self, Bearer, Purpose};

/// The speed that no traveller exceeds, in kilometres per hour: that of an airliner.
const FASTEST: f64 = 900.0;

/// Distances up to this, in kilometres, are no journey: databases of addresses are off by as much.
const NEARBY: f64 = 100.0;

/// Earlier sessions that are looked at, the latest first.
const REMEMBERED: i64 = 500;

/// Why a login is unusual for an account with these earlier sessions, the latest first. Nothing is for one without.
fn unusual(earlier: &[Earlier], device: &Device, place: Option<&Place>, at: Timestamp) -> Vec<Unusual> {
    if earlier.is_empty() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if !earlier.iter().any(|session| Device::of(&session.device).resembles(device)) {
        reasons.push(Unusual::NewDevice);
    }
    let been: Vec<(Place, Timestamp)> = earlier
        .iter()
        .filter_map(|session| Some((Place::of(session.location.as_ref()?)?, session.created_at)))
        .collect();
    let country = place.and_then(|place| place.country.as_deref());
    if country.is_some() && !been.is_empty() && !been.iter().any(|(place, _)| place.country.as_deref() == country) {
        reasons.push(Unusual::NewCountry);
    }
    let journey = place.zip(been.first()).is_some_and(|(here, (there, left))| is_impossible(there, *left, here, at));
    if journey {
        reasons.push(Unusual::ImpossibleJourney);
    }
    reasons
}

fn is_impossible(from: &Place, left: Timestamp, to: &Place, arrived: Timestamp) -> bool {
    let hours = arrived.since(left).as_secs_f64() / 3600.0;
    kilometres(from, to).is_some_and(|distance| distance > NEARBY && distance > FASTEST * hours)
}

impl Parts {
    /// Notes a login that is unusual for its account, and tells the owner, with a link that ends the session. Part of the
    /// transaction that inserted the session. Answers whether there is a letter to be sent.
    pub(super) fn tell_if_unusual(&self, conn: &mut Conn, login: Login<'_>) -> DbResult<bool> {
        let (subject, session, now) = (&login.standing.subject, login.standing.session, login.standing.issued_at);
        let earlier = store::earlier(conn, subject.id, session, REMEMBERED)?;
        let reasons = unusual(&earlier, login.device, login.place, now);
        if reasons.is_empty() {
            return Ok(false);
        }
        let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
        self.audit.append(conn, &Record::new(Event::SuspiciousLogin, &login.actor()).with("reasons", names))?;
        if !store::wants_alerts(conn, subject.id)? {
            return Ok(false);
        }
        let bearer = Bearer { user: subject.id, purpose: Purpose::NotMe, session: Some(session) };
        let link = one_time::issue(conn, &self.mail, bearer, &self.random, now)?;
        let letter = Letter::NewLogin { occasion: login.occasion(), reasons, link };
        self.mail.post(conn, &subject.email, &letter, now)?;
        Ok(true)
    }
}

impl Sessions {
    /// Whether the account has a session whose client was last seen in the network that `client` calls from: a place
    /// where its owner, and not only who knows the address, has been.
    pub fn know_network(&self, conn: &mut Conn, user: UserId, client: &Client) -> DbResult<bool> {
        let Some(network) = client.address.map(Network::of) else { return Ok(false) };
        let addresses = store::addresses(conn, user, REMEMBERED)?;
        Ok(addresses.into_iter().any(|address| Network::of(address.0) == network))
    }

    /// Where and when something is done, for a letter about it.
    pub fn occasion(&self, client: &Client) -> Occasion {
        let devices = &self.0.devices;
        Occasion {
            device: devices.device(client.user_agent.as_deref()).label,
            place: client.address.and_then(|address| devices.place(address)).map(|place| place.label()),
            ip: client.address.map(|address| address.to_string()),
            at: self.0.clock.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::types::Json;
    use crate::devices::Kind;

    const HOUR: Duration = Duration::from_secs(3600);

    fn device(os: &str, browser: &str) -> Device {
        let (os, browser) = (os.to_owned(), browser.to_owned());
        Device { kind: Kind::Desktop, label: format!("{browser} on {os}"), os: Some(os), browser: Some(browser) }
    }

    fn place(country: &str, latitude: f64, longitude: f64) -> Place {
        Place {
            country: Some(country.to_owned()),
            latitude: Some(latitude),
            longitude: Some(longitude),
            ..Place::default()
        }
    }

    fn earlier(device: &Device, place: Option<&Place>, created_at: Timestamp) -> Earlier {
        Earlier { device: Json::from(device), location: place.map(Json::from), created_at }
    }

    #[test]
    fn the_first_login_and_one_like_the_last_are_usual() {
        let (firefox, london, at) = (device("Windows", "Firefox"), place("GB", 51.5, -0.1), Timestamp::from_secs(0));
        assert_eq!(unusual(&[], &firefox, Some(&london), at), []);
        let before = [earlier(&firefox, Some(&london), at)];
        assert_eq!(unusual(&before, &firefox, Some(&london), at), []);
        assert_eq!(unusual(&before, &firefox, None, at), [], "a place that is not known is not new");
    }

    #[test]
    fn another_system_or_browser_is_a_new_device_until_it_was_seen() {
        let (firefox, chrome, at) =
            (device("Windows", "Firefox"), device("Windows", "Chrome"), Timestamp::from_secs(0));
        let mut before = vec![earlier(&firefox, None, at)];
        assert_eq!(unusual(&before, &chrome, None, at), [Unusual::NewDevice]);
        before.insert(0, earlier(&chrome, None, at));
        assert_eq!(unusual(&before, &chrome, None, at), []);
        assert_eq!(unusual(&before, &firefox, None, at), []);
    }

    #[test]
    fn a_country_is_new_where_others_are_known() {
        let (firefox, at) = (device("Windows", "Firefox"), Timestamp::from_secs(0));
        let (london, paris) = (place("GB", 51.5, -0.1), place("FR", 48.9, 2.4));
        let after_a_day = at.plus(24 * HOUR);
        let before = [earlier(&firefox, Some(&london), at), earlier(&firefox, None, at)];
        assert_eq!(unusual(&before, &firefox, Some(&paris), after_a_day), [Unusual::NewCountry]);
        assert_eq!(unusual(&before[1..], &firefox, Some(&paris), after_a_day), [], "no other is known");
    }

    #[test]
    fn a_journey_is_impossible_where_no_airliner_makes_it() {
        let (firefox, at) = (device("Windows", "Firefox"), Timestamp::from_secs(0));
        let (london, new_york, oxford) = (place("GB", 51.5, -0.1), place("US", 40.7, -74.0), place("GB", 51.75, -1.26));
        let been = [earlier(&firefox, Some(&new_york), at), earlier(&firefox, Some(&london), at)];
        let back_after = |time| unusual(&been, &firefox, Some(&london), at.plus(time));
        assert_eq!(back_after(2 * HOUR), [Unusual::ImpossibleJourney]);
        assert_eq!(back_after(8 * HOUR), []);
        let near = [earlier(&firefox, Some(&oxford), at)];
        assert_eq!(unusual(&near, &firefox, Some(&london), at), [], "too near to tell");
    }
}
