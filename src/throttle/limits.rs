//! Rate limits (GCRA): counted in this process and, if servers share a cache, for all servers together.

use std::net::IpAddr;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::cache::Cache;
use crate::cache::bounded::BoundedMap;
use crate::cache::gcra::Decision;
use crate::clock::Clock;
use crate::config;
use crate::secret::{MacKey, MasterSecret};
use crate::types::{Rate, Timestamp};

/// A rate limit: the operation, and whether attempts are counted by account, session or the client's IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Logins by account.
    LoginAccount,
    /// Logins by IP address.
    LoginAddress,
    /// Registrations by IP address.
    RegisterAddress,
    /// Refreshes by session.
    RefreshSession,
    /// Refreshes by IP address.
    RefreshAddress,
    /// Requests for a password reset by account.
    ForgotAccount,
    /// Codes of the second factor by account.
    MfaAccount,
    /// Requests that change something by account.
    WriteAccount,
    /// Requests that look something up by account.
    SearchAccount,
}

impl Limit {
    /// Every limit.
    pub(crate) const ALL: [Self; 9] = [
        Self::LoginAccount,
        Self::LoginAddress,
        Self::RegisterAddress,
        Self::RefreshSession,
        Self::RefreshAddress,
        Self::ForgotAccount,
        Self::MfaAccount,
        Self::WriteAccount,
        Self::SearchAccount,
    ];

    /// Returns the name in keys, metrics and the audit log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LoginAccount => "login-account",
            Self::LoginAddress => "login-address",
            Self::RegisterAddress => "register-address",
            Self::RefreshSession => "refresh-session",
            Self::RefreshAddress => "refresh-address",
            Self::ForgotAccount => "forgot-account",
            Self::MfaAccount => "mfa-account",
            Self::WriteAccount => "write-account",
            Self::SearchAccount => "search-account",
        }
    }
}

/// The state of a limit after an attempt that was allowed: the values of the `RateLimit-*` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remaining {
    /// The maximum number of attempts at once.
    pub limit: u32,
    /// The number of attempts that are still allowed now.
    pub remaining: u32,
    /// The number of seconds until all attempts are available again.
    pub reset: u64,
}

/// The state of a limit after an attempt that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimited {
    /// The maximum number of attempts at once.
    pub limit: u32,
    /// The number of seconds until all attempts are available again.
    pub reset: u64,
    /// The number of seconds until the next attempt is allowed, at least one.
    pub retry_after: u64,
}

/// How often the same subject's exceeding of the same limit is audited.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);

/// The maximum number of subjects whose last audit is remembered.
const MAX_AUDITED: usize = 4096;

/// The limits of a server. Subjects are stored as MACs, so that neither this process nor the cache contains an email or
/// IP address in plain text.
pub(super) struct Limits {
    key: MacKey,
    clock: Clock,
    audited: BoundedMap<Mac, Timestamp>,
    login_account: Option<Limiter>,
    login_address: Option<Limiter>,
    register_address: Option<Limiter>,
    refresh_session: Option<Limiter>,
    refresh_address: Option<Limiter>,
    forgot_account: Option<Limiter>,
    mfa_account: Option<Limiter>,
    write_account: Option<Limiter>,
    search_account: Option<Limiter>,
}

impl Limits {
    /// Creates the limits with these rates.
    pub(super) fn new(rates: &config::Limits, secret: &MasterSecret, clock: &Clock) -> Self {
        let limiter = |rate: Option<Rate>| rate.map(|rate| Limiter::new(rate, clock.clone()));
        Self {
            key: secret.limit_key(),
            clock: clock.clone(),
            audited: BoundedMap::new(MAX_AUDITED),
            login_account: limiter(rates.login_account),
            login_address: limiter(rates.login_address),
            register_address: limiter(rates.register_address),
            refresh_session: limiter(rates.refresh_session),
            refresh_address: limiter(rates.refresh_address),
            forgot_account: limiter(rates.forgot_account),
            mfa_account: limiter(rates.mfa_account),
            write_account: limiter(rates.write_account),
            search_account: limiter(rates.search_account),
        }
    }

    /// Counts an attempt by `subject`: a normalized email address, a session id, or [`ip_key`]. Returns `None` if the
    /// limit is disabled. While the cache is unavailable, the count of this process applies.
    ///
    /// # Errors
    /// There were too many attempts.
    pub(super) async fn check(
        &self,
        cache: &Cache,
        limit: Limit,
        subject: &[u8],
    ) -> Result<Option<Remaining>, RateLimited> {
        let Some(limiter) = self.limiter(limit) else { return Ok(None) };
        let mac = self.mac(limit.name(), subject);
        let local = limiter.check(&mac)?;
        let LeaseDecision::Request(attempts) = limiter.lease(mac) else { return Ok(Some(local)) };
        let key = format!("{}:{:032x}", limit.name(), u128::from_be_bytes(mac));
        match cache.count(&key, limiter.rate, attempts).await {
            Ok(Some(shared)) => {
                if attempts > 1 {
                    limiter.keep_leased(mac, shared.granted.saturating_sub(1));
                }
                judge(limiter.rate, shared).map(Some)
            }
            Ok(None) | Err(_) => Ok(Some(local)),
        }
    }

    /// Returns whether an exceeding of the limit `name` by `subject` should be audited: at most once a minute per
    /// server.
    pub(super) fn should_audit(&self, name: &str, subject: &[u8]) -> bool {
        let now = self.clock.now();
        let mut due = false;
        self.audited.update(self.mac(name, subject), |audited_at| {
            due = audited_at.is_none_or(|audited_at| now.since(*audited_at) >= AUDIT_INTERVAL);
            due.then_some(now)
        });
        due
    }

    /// Deletes the state of subjects that have regained all their attempts. Call this about every minute.
    pub(super) fn delete_idle(&self) {
        for limit in Limit::ALL {
            if let Some(limiter) = self.limiter(limit) {
                limiter.states.retain_recent();
                limiter.states.shrink_to_fit();
            }
        }
    }

    fn limiter(&self, limit: Limit) -> Option<&Limiter> {
        match limit {
            Limit::LoginAccount => self.login_account.as_ref(),
            Limit::LoginAddress => self.login_address.as_ref(),
            Limit::RegisterAddress => self.register_address.as_ref(),
            Limit::RefreshSession => self.refresh_session.as_ref(),
            Limit::RefreshAddress => self.refresh_address.as_ref(),
            Limit::ForgotAccount => self.forgot_account.as_ref(),
            Limit::MfaAccount => self.mfa_account.as_ref(),
            Limit::WriteAccount => self.write_account.as_ref(),
            Limit::SearchAccount => self.search_account.as_ref(),
        }
    }

    /// Returns the MAC of a subject. It includes the limit, so that a subject cannot be recognised across limits.
    fn mac(&self, limit: &str, subject: &[u8]) -> Mac {
        self.key.tag(&[limit.as_bytes(), b" ", subject].concat())
    }
}

/// Returns the subject for attempts from an IP address: the whole IPv4 address, or the first 64 bits of an IPv6
/// address, because one household or rented server usually has a whole /64 network.
pub(crate) fn ip_key(ip: IpAddr) -> [u8; 16] {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => (v6.to_bits() & !u128::from(u64::MAX)).to_be_bytes(),
    }
}

type Mac = [u8; 16];

/// The divisor of a limit that gives the number of attempts in one lease. A server takes a lease from the shared count
/// and then allows these attempts without asking the cache again. All servers together never exceed the limit, because
/// leased attempts are already counted.
const LEASE_DIVISOR: u32 = 16;

/// The maximum number of leases that are remembered. If one is evicted, its subject loses the rest of it.
const MAX_LEASES: usize = 16 * 1024;

/// How long a requested lease is awaited before another is requested.
const LEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Attempts that the shared count has granted and that were not made yet.
#[derive(Clone, Copy)]
struct Lease {
    /// The number of granted attempts that remain.
    left: u32,
    /// The time at which the remaining attempts expire.
    until: Timestamp,
    /// The time until which a requested lease is awaited. Until then, other attempts are requested one by one: if each
    /// requested a lease, they would use up the whole limit and then be refused.
    awaited_until: Timestamp,
}

/// The decision whether an attempt has to be counted in the cache.
enum LeaseDecision {
    /// The attempt was granted by an earlier lease.
    Leased,
    /// This number of attempts has to be requested from the shared count.
    Request(u32),
}

/// One limit with the counts of its subjects.
struct Limiter {
    rate: Rate,
    clock: Clock,
    /// The number of attempts in one lease.
    lease: u32,
    leased: BoundedMap<Mac, Lease>,
    states: RateLimiter<Mac, DashMapStateStore<Mac>, LimitClock, StateInformationMiddleware>,
}

impl Limiter {
    fn new(rate: Rate, clock: Clock) -> Self {
        #[expect(clippy::expect_used, reason = "fails only for zero, which an interval never is")]
        let quota = Quota::with_period(interval(rate)).expect("an interval over zero").allow_burst(rate.burst);
        let states = RateLimiter::new(quota, DashMapStateStore::default(), LimitClock { clock: clock.clone() });
        let lease = rate.burst.get().div_euclid(LEASE_DIVISOR).max(1);
        Self { rate, clock, lease, leased: BoundedMap::new(MAX_LEASES), states }
    }

    /// Takes one attempt from the subject's lease. If none is left, returns how many attempts to request.
    fn lease(&self, mac: Mac) -> LeaseDecision {
        let mut decision = LeaseDecision::Request(1);
        if self.lease == 1 {
            return decision;
        }
        let now = self.clock.now();
        self.leased.update(mac, |lease| {
            let lease = lease.copied().unwrap_or(Lease { left: 0, until: now, awaited_until: now });
            if lease.left > 0 && now < lease.until {
                decision = LeaseDecision::Leased;
                return Some(Lease { left: lease.left.saturating_sub(1), ..lease });
            }
            if now < lease.awaited_until {
                return None;
            }
            decision = LeaseDecision::Request(self.lease);
            Some(Lease { left: 0, until: now, awaited_until: now.plus(LEASE_TIMEOUT) })
        });
        decision
    }

    /// Stores the attempts that remain of a new lease.
    fn keep_leased(&self, mac: Mac, left: u32) {
        let now = self.clock.now();
        self.leased.put(mac, Lease { left, until: now.plus(self.rate.period), awaited_until: now });
    }

    fn check(&self, mac: &Mac) -> Result<Remaining, RateLimited> {
        let burst = self.rate.burst.get();
        let decision = match self.states.check_key(mac) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let reset = interval(self.rate).saturating_mul(burst.saturating_sub(remaining));
                Decision { granted: 1, remaining, retry_after: Duration::ZERO, reset }
            }
            Err(until) => {
                let retry_after = until.wait_time_from(self.states.clock().now());
                let reset = retry_after.saturating_add(interval(self.rate).saturating_mul(burst.saturating_sub(1)));
                Decision { granted: 0, remaining: 0, retry_after, reset }
            }
        };
        judge(self.rate, decision)
    }
}

/// Returns the time after which one more attempt is allowed.
fn interval(rate: Rate) -> Duration {
    let interval = rate.period.checked_div(rate.burst.get()).unwrap_or_default();
    interval.max(Duration::from_nanos(1))
}

fn judge(rate: Rate, decision: Decision) -> Result<Remaining, RateLimited> {
    let limit = rate.burst.get();
    let reset = whole_seconds(decision.reset);
    if decision.granted > 0 {
        Ok(Remaining { limit, remaining: decision.remaining, reset })
    } else {
        Err(RateLimited { limit, reset, retry_after: whole_seconds(decision.retry_after).max(1) })
    }
}

/// Rounds up to whole seconds, so that a client that waits as long is not refused again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// The server's clock in the form that governor needs: nanoseconds since the epoch.
struct LimitClock {
    clock: Clock,
}

impl governor::clock::Clock for LimitClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or_default();
        Nanos::new(millis.saturating_mul(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn limits(clock: &Clock) -> Limits {
        let rate = |burst, period| Some(Rate { burst: NonZeroU32::new(burst).unwrap(), period });
        let rates = config::Limits {
            login_account: rate(3, Duration::from_secs(60)),
            login_address: rate(1, HOUR),
            register_address: rate(1_000_000, Duration::from_secs(1)),
            refresh_session: None,
            refresh_address: rate(1, HOUR),
            forgot_account: None,
            email_verified: None,
            email_unverified: None,
            write_account: None,
            search_account: None,
            mfa_account: None,
        };
        Limits::new(&rates, &MasterSecret::for_test("limits"), clock)
    }

    fn local(limits: &Limits, limit: Limit, subject: &[u8]) -> Result<Remaining, RateLimited> {
        limits.limiter(limit).unwrap().check(&limits.mac(limit.name(), subject))
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_attempt_at_each_interval() {
        let clock = Clock::default();
        clock.hold();
        let limits = limits(&clock);
        let login = || local(&limits, Limit::LoginAccount, b"ada@example.com");
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 2, reset: 20 }));
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 1, reset: 40 }));
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 0, reset: 60 }));
        let Err(RateLimited { limit: 3, reset: 60, retry_after: 20 }) = login() else { panic!("{:?}", login()) };

        clock.advance(Duration::from_secs(20));
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 0, reset: 60 }));
        assert!(login().is_err());

        clock.advance(HOUR);
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 2, reset: 20 }));
    }

    #[test]
    fn limits_and_subjects_are_counted_apart() {
        let limits = limits(&Clock::default());
        assert!(local(&limits, Limit::LoginAddress, b"one").is_ok());
        assert!(local(&limits, Limit::LoginAddress, b"one").is_err());
        assert!(local(&limits, Limit::LoginAddress, b"two").is_ok());
        assert!(local(&limits, Limit::RefreshAddress, b"one").is_ok());
    }

    #[test]
    fn of_those_who_come_at_once_one_leases_and_the_others_ask_for_themselves() {
        let clock = Clock::default();
        let limiter = Limiter::new(Rate { burst: NonZeroU32::new(160).unwrap(), period: HOUR }, clock.clone());
        let mac = [0; 16];
        let decide = || match limiter.lease(mac) {
            LeaseDecision::Leased => 0,
            LeaseDecision::Request(attempts) => attempts,
        };
        assert_eq!([(); 3].map(|()| decide()), [10, 1, 1]);
        limiter.keep_leased(mac, 2);
        assert_eq!([(); 4].map(|()| decide()), [0, 0, 10, 1]);
        // The request for the lease got no answer.
        clock.advance(LEASE_TIMEOUT);
        assert_eq!([(); 2].map(|()| decide()), [10, 1]);
        limiter.keep_leased(mac, 9);
        clock.advance(HOUR);
        assert_eq!(decide(), 10, "what was leased counts for one period");
    }

    #[test]
    fn exceeding_a_limit_all_the_time_is_audited_once_a_minute() {
        let clock = Clock::default();
        let limits = limits(&clock);
        let audited = || ["one", "two"].map(|subject| limits.should_audit("login-account", subject.as_bytes()));
        assert_eq!([audited(), audited()], [[true, true], [false, false]]);
        assert!(limits.should_audit("login-address", b"one"));
        clock.advance(AUDIT_INTERVAL);
        assert_eq!(audited(), [true, true]);
    }

    #[test]
    fn subjects_that_have_all_their_attempts_are_forgotten_and_no_others() {
        let clock = Clock::default();
        let limits = limits(&clock);
        let known = || limits.login_address.as_ref().unwrap().states.len();
        assert!(local(&limits, Limit::LoginAddress, b"early").is_ok());
        clock.advance(HOUR * 3 / 2);
        assert!(local(&limits, Limit::LoginAddress, b"late").is_ok());
        clock.advance(HOUR / 2 + Duration::from_secs(1));
        assert_eq!(known(), 2);
        limits.delete_idle();
        assert!(local(&limits, Limit::LoginAddress, b"late").is_err());
        assert_eq!(known(), 1);
        clock.advance(HOUR * 2);
        limits.delete_idle();
        assert_eq!(known(), 0);
    }

    #[test]
    fn limits_count_whole_ipv4_addresses_and_ipv6_networks_of_64_bits() {
        let same = |a: &str, b: &str| ip_key(a.parse().unwrap()) == ip_key(b.parse().unwrap());
        assert!(!same("198.51.100.1", "198.51.100.2"));
        assert!(same("198.51.100.1", "::ffff:198.51.100.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("::1", "0.0.0.1"));
    }
}
