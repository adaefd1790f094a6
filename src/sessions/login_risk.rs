//! Detects unusual logins by comparison with the account's past sessions.

use super::Sessions;
use super::open::LoginDetails;
use super::store::{self, PastSession};
use crate::audit::{Event, Record};
use crate::db::{Conn, DbResult};
use crate::devices::{Device, Network, Place, distance_km};
use crate::mail::{Email, LoginRisk};
use crate::tokens::opaque::{Purpose, TokenRecord};
use crate::types::{Requester, Timestamp, UserId};

/// The speed of an airliner, in kilometres per hour.
const MAX_SPEED_KMH: f64 = 900.0;

/// The shortest distance that counts as travel, in kilometres: databases of IP addresses are that inexact.
const MIN_TRAVEL_KM: f64 = 100.0;

/// The number of past sessions that a login is compared with, newest first.
const MAX_PAST_SESSIONS: i64 = 500;

/// Returns the risks of a login, given the past sessions that are the owner's, newest first.
fn risks(past: &[PastSession], device: &Device, place: Option<&Place>, at: Timestamp) -> Vec<LoginRisk> {
    let mut reasons = Vec::new();
    if !past.iter().any(|session| Device::from_column(&session.device).resembles(device)) {
        reasons.push(LoginRisk::NewDevice);
    }
    let visited: Vec<(Place, Timestamp)> = past
        .iter()
        .filter_map(|session| Some((Place::from_column(session.location.as_ref()?)?, session.created_at)))
        .collect();
    let country = place.and_then(|place| place.country.as_deref());
    let is_known = visited.iter().any(|(place, _)| place.country.as_deref() == country);
    if country.is_some() && !visited.is_empty() && !is_known {
        reasons.push(LoginRisk::NewCountry);
    }
    let last_place = visited.first();
    if place.zip(last_place).is_some_and(|(to, (from, left_at))| is_impossible_travel(from, *left_at, to, at)) {
        reasons.push(LoginRisk::ImpossibleTravel);
    }
    reasons
}

fn is_impossible_travel(from: &Place, left_at: Timestamp, to: &Place, arrived_at: Timestamp) -> bool {
    let hours = arrived_at.since(left_at).as_secs_f64() / 3600.0;
    distance_km(from, to).is_some_and(|distance| distance > MIN_TRAVEL_KM && distance > MAX_SPEED_KMH * hours)
}

impl Sessions {
    /// Audits a login that is unusual for its account, and queues an email to the owner with a link that reports the
    /// login. Runs in the transaction that inserted the session. Returns whether an email was queued.
    pub(super) fn alert_if_unusual(&self, conn: &mut Conn, login: LoginDetails<'_>) -> DbResult<bool> {
        let subject = &login.snapshot.subject;
        let session = login.snapshot.session;
        let now = login.snapshot.issued_at;
        let past = store::past_sessions(conn, subject.id, session, MAX_PAST_SESSIONS)?;
        if past.is_empty() {
            // The first login of an account is not unusual.
            return Ok(false);
        }
        let own: Vec<PastSession> = past.into_iter().filter(PastSession::is_owners).collect();
        let reasons = risks(&own, login.device, login.place, now);
        if reasons.is_empty() {
            return Ok(false);
        }
        let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
        self.audit.append(conn, &Record::new(Event::LoginUnusual, &login.actor()).with("reasons", names))?;
        if !login.wants_alerts {
            return Ok(false);
        }
        let record = TokenRecord { purpose: Purpose::ReportLogin, user: subject.id, session: Some(session) };
        let link = self.mail.issue_link(conn, record, now)?;
        let email = Email::NewLogin { activity: login.activity(), reasons, link };
        self.mail.queue(conn, &subject.email, login.language(), &email, now)?;
        Ok(true)
    }

    /// Returns whether one of the account's past sessions was last used from the network of `requester`.
    pub(crate) fn knows_network(&self, conn: &mut Conn, user: UserId, requester: &Requester) -> DbResult<bool> {
        let Some(network) = requester.ip.map(Network::from_ip) else { return Ok(false) };
        let ips = store::ips(conn, user, MAX_PAST_SESSIONS)?;
        Ok(ips.into_iter().any(|ip| Network::from_ip(ip) == network))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::types::Json;
    use crate::devices::DeviceType;

    const HOUR: Duration = Duration::from_secs(3600);

    fn device(os: &str, browser: &str) -> Device {
        let os = os.to_owned();
        let browser = browser.to_owned();
        Device {
            device_type: DeviceType::Desktop,
            label: format!("{browser} on {os}"),
            os: Some(os),
            browser: Some(browser),
        }
    }

    fn place(country: &str, latitude: f64, longitude: f64) -> Place {
        Place {
            country: Some(country.to_owned()),
            latitude: Some(latitude),
            longitude: Some(longitude),
            ..Place::default()
        }
    }

    fn past(device: &Device, place: Option<&Place>, created_at: Timestamp) -> PastSession {
        PastSession { device: Json::from(device), location: place.map(Json::from), created_at, revoked_reason: None }
    }

    #[test]
    fn a_login_like_the_last_is_usual_and_one_without_any_that_is_the_owners_is_not() {
        let firefox = device("Windows", "Firefox");
        let london = place("GB", 51.5, -0.1);
        let at = Timestamp::from_secs(0);
        assert_eq!(risks(&[], &firefox, Some(&london), at), [LoginRisk::NewDevice]);
        let before = [past(&firefox, Some(&london), at)];
        assert_eq!(risks(&before, &firefox, Some(&london), at), []);
        assert_eq!(risks(&before, &firefox, None, at), [], "a place that is not known is not new");
    }

    #[test]
    fn another_system_or_browser_is_a_new_device_until_it_was_seen() {
        let (firefox, chrome, at) =
            (device("Windows", "Firefox"), device("Windows", "Chrome"), Timestamp::from_secs(0));
        let mut before = vec![past(&firefox, None, at)];
        assert_eq!(risks(&before, &chrome, None, at), [LoginRisk::NewDevice]);
        before.insert(0, past(&chrome, None, at));
        assert_eq!(risks(&before, &chrome, None, at), []);
        assert_eq!(risks(&before, &firefox, None, at), []);
    }

    #[test]
    fn a_country_is_new_where_others_are_known() {
        let firefox = device("Windows", "Firefox");
        let at = Timestamp::from_secs(0);
        let london = place("GB", 51.5, -0.1);
        let paris = place("FR", 48.9, 2.4);
        let after_a_day = at.plus(24 * HOUR);
        let before = [past(&firefox, Some(&london), at), past(&firefox, None, at)];
        assert_eq!(risks(&before, &firefox, Some(&paris), after_a_day), [LoginRisk::NewCountry]);
        assert_eq!(risks(&before[1..], &firefox, Some(&paris), after_a_day), [], "no other is known");
    }

    #[test]
    fn travel_is_impossible_where_no_airliner_makes_it() {
        let firefox = device("Windows", "Firefox");
        let at = Timestamp::from_secs(0);
        let london = place("GB", 51.5, -0.1);
        let new_york = place("US", 40.7, -74.0);
        let oxford = place("GB", 51.75, -1.26);
        let been = [past(&firefox, Some(&new_york), at), past(&firefox, Some(&london), at)];
        let back_after = |time| risks(&been, &firefox, Some(&london), at.plus(time));
        assert_eq!(back_after(2 * HOUR), [LoginRisk::ImpossibleTravel]);
        assert_eq!(back_after(8 * HOUR), []);
        let near = [past(&firefox, Some(&oxford), at)];
        assert_eq!(risks(&near, &firefox, Some(&london), at), [], "too near to tell");
    }
}
