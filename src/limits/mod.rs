//! Who may try how often: a rate (GCRA) for each kind of attempt, counted in this process and, where servers share a
//! cache, for all of them together.

use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::cache::Cache;
use crate::cache::bounded::Bounded;
use crate::cache::gcra::Decision;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Rate};
use crate::secret::{MacKey, MasterSecret};

/// What is attempted, and by what the attempts are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    LoginAccount,
    LoginAddress,
    RegisterAddress,
    RefreshSession,
    RefreshAddress,
    ForgotAccount,
    MfaAccount,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::LoginAccount,
        Self::LoginAddress,
        Self::RegisterAddress,
        Self::RefreshSession,
        Self::RefreshAddress,
        Self::ForgotAccount,
        Self::MfaAccount,
    ];

    /// The name in keys and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoginAccount => "login-account",
            Self::LoginAddress => "login-address",
            Self::RegisterAddress => "register-address",
            Self::RefreshSession => "refresh-session",
            Self::RefreshAddress => "refresh-address",
            Self::ForgotAccount => "forgot-account",
            Self::MfaAccount => "mfa-account",
        }
    }
}

/// An attempt is let through: what the `RateLimit-*` fields tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Attempts that are let through at once, at most.
    pub limit: u32,
    /// Attempts that would be let through now.
    pub remaining: u32,
    /// Seconds until all are there again.
    pub reset: u64,
}

/// An attempt is refused, and none remains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Attempts that are let through at once, at most.
    pub limit: u32,
    /// Seconds until all are there again.
    pub reset: u64,
    /// Seconds until the next is let through, at least one.
    pub retry_after: u64,
}

/// How often one subject's hitting of one limit is news.
const NEWS_INTERVAL: Duration = Duration::from_secs(60);

/// Subjects that are remembered to have hit a limit.
const NEWS: usize = 4096;

/// The limits of a server. Accounts and addresses are kept as MACs: neither this process nor a cache holds one in clear.
pub struct Limits {
    key: MacKey,
    clock: Clock,
    news: Bounded<Mac, Timestamp>,
    login_account: Option<Limiter>,
    login_address: Option<Limiter>,
    register_address: Option<Limiter>,
    refresh_session: Option<Limiter>,
    refresh_address: Option<Limiter>,
    forgot_account: Option<Limiter>,
    mfa_account: Option<Limiter>,
}

impl Limits {
    pub fn new(rates: &config::Limits, secret: &MasterSecret, clock: &Clock) -> Self {
        let limiter = |rate: Option<Rate>| rate.map(|rate| Limiter::new(rate, clock.clone()));
        Self {
            key: secret.limit_key(),
            clock: clock.clone(),
            news: Bounded::new(NEWS),
            login_account: limiter(rates.login_account),
            login_address: limiter(rates.login_address),
            register_address: limiter(rates.register_address),
            refresh_session: limiter(rates.refresh_session),
            refresh_address: limiter(rates.refresh_address),
            forgot_account: limiter(rates.forgot_account),
            mfa_account: limiter(rates.mfa_account),
        }
    }

    /// Counts an attempt by `subject`: a normalized mail address, a session id, or the key of a client's address.
    /// `None` where there is no limit. While the cache is away, this process counts alone.
    pub async fn check(&self, cache: &Cache, kind: Kind, subject: &[u8]) -> Result<Option<Remaining>, Limited> {
        let Some(limiter) = self.limiter(kind) else { return Ok(None) };
        let mac = self.mac(kind.name(), subject);
        let local = limiter.check(&mac)?;
        let Asking::For(attempts) = limiter.lease(mac) else { return Ok(Some(local)) };
        let key = format!("{}:{:032x}", kind.name(), u128::from_be_bytes(mac));
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

    /// Whether `subject` has not hit the limit `name` within the last minute, here: what hits it all the time is worth one
    /// note a minute.
    pub fn is_news(&self, name: &str, subject: &[u8]) -> bool {
        let (now, mut is_news) = (self.clock.now(), false);
        self.news.update(self.mac(name, subject), |noted| {
            is_news = noted.is_none_or(|noted| now.since(*noted) >= NEWS_INTERVAL);
            is_news.then_some(now)
        });
        is_news
    }

    /// Forgets those who have had all attempts again for an interval; to be called every minute or so.
    pub fn sweep(&self) {
        for kind in Kind::ALL {
            if let Some(limiter) = self.limiter(kind) {
                limiter.states.retain_recent();
                limiter.states.shrink_to_fit();
            }
        }
    }

    fn limiter(&self, kind: Kind) -> Option<&Limiter> {
        match kind {
            Kind::LoginAccount => self.login_account.as_ref(),
            Kind::LoginAddress => self.login_address.as_ref(),
            Kind::RegisterAddress => self.register_address.as_ref(),
            Kind::RefreshSession => self.refresh_session.as_ref(),
            Kind::RefreshAddress => self.refresh_address.as_ref(),
            Kind::ForgotAccount => self.forgot_account.as_ref(),
            Kind::MfaAccount => self.mfa_account.as_ref(),
        }
    }

    /// The kind is part of it, so that one address under two kinds cannot be told to be one.
    fn mac(&self, kind: &str, subject: &[u8]) -> Mac {
        self.key.tag(&[kind.as_bytes(), b" ", subject].concat())
    }
}

type Mac = [u8; 16];

/// What part of a limit a server takes from the shared count at once, to let through without asking again. Together
/// the servers never let through more than the limit; what one of them has leased, the others go without.
const LEASED_PART: u32 = 16;

/// Subjects whose leases are remembered; a forgotten one costs its subject what was left of it.
const LEASES: usize = 16 * 1024;

/// How long a lease that was asked for is waited for before another is.
const LEASE_PATIENCE: Duration = Duration::from_secs(1);

/// Attempts that the shared count has granted and this server has yet to let through.
#[derive(Clone, Copy)]
struct Lease {
    left: u32,
    /// Until when they count.
    until: Timestamp,
    /// While a lease is on its way, until when. Those who come meanwhile ask for their own attempt alone: many at once
    /// would lease the whole limit and then be refused.
    coming_until: Timestamp,
}

/// Whether the shared count has to be asked, and for how many attempts.
enum Asking {
    /// The attempt was leased before.
    Nobody,
    For(u32),
}

struct Limiter {
    rate: Rate,
    clock: Clock,
    /// Attempts leased at once.
    lease: u32,
    leased: Bounded<Mac, Lease>,
    states: RateLimiter<Mac, DashMapStateStore<Mac>, LimitClock, StateInformationMiddleware>,
}

impl Limiter {
    fn new(rate: Rate, clock: Clock) -> Self {
        #[expect(clippy::expect_used, reason = "fails only for zero, which an interval never is")]
        let quota = Quota::with_period(interval(rate)).expect("an interval over zero").allow_burst(rate.burst);
        let states = RateLimiter::new(quota, DashMapStateStore::default(), LimitClock(clock.clone()));
        let lease = rate.burst.get().div_euclid(LEASED_PART).max(1);
        Self { rate, clock, lease, leased: Bounded::new(LEASES), states }
    }

    /// Takes one attempt from what was leased; where nothing is left, says what to ask for.
    fn lease(&self, mac: Mac) -> Asking {
        let mut asking = Asking::For(1);
        if self.lease == 1 {
            return asking;
        }
        let now = self.clock.now();
        self.leased.update(mac, |known| {
            let known = known.copied().unwrap_or(Lease { left: 0, until: now, coming_until: now });
            if known.left > 0 && now < known.until {
                asking = Asking::Nobody;
                return Some(Lease { left: known.left.saturating_sub(1), ..known });
            }
            if now < known.coming_until {
                return None;
            }
            asking = Asking::For(self.lease);
            Some(Lease { left: 0, until: now, coming_until: now.plus(LEASE_PATIENCE) })
        });
        asking
    }

    fn keep_leased(&self, mac: Mac, left: u32) {
        let now = self.clock.now();
        self.leased.put(mac, Lease { left, until: now.plus(self.rate.period), coming_until: now });
    }

    fn check(&self, mac: &Mac) -> Result<Remaining, Limited> {
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

/// The time after which one more attempt is let through.
fn interval(rate: Rate) -> Duration {
    let interval = rate.period.checked_div(rate.burst.get()).unwrap_or_default();
    interval.max(Duration::from_nanos(1))
}

fn judge(rate: Rate, decision: Decision) -> Result<Remaining, Limited> {
    let (limit, reset) = (rate.burst.get(), whole_seconds(decision.reset));
    if decision.granted > 0 {
        Ok(Remaining { limit, remaining: decision.remaining, reset })
    } else {
        Err(Limited { limit, reset, retry_after: whole_seconds(decision.retry_after).max(1) })
    }
}

/// Rounded up: who waits for so long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// The server's clock in governor's terms: nanoseconds since the epoch.
struct LimitClock(Clock);

impl governor::clock::Clock for LimitClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.now().as_millis()).unwrap_or_default();
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
            mfa_account: None,
        };
        Limits::new(&rates, &MasterSecret::parse(&"limit".repeat(20)).unwrap(), clock)
    }

    fn local(limits: &Limits, kind: Kind, subject: &[u8]) -> Result<Remaining, Limited> {
        limits.limiter(kind).unwrap().check(&limits.mac(kind.name(), subject))
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_attempt_at_each_interval() {
        let clock = Clock::default();
        let limits = limits(&clock);
        let login = || local(&limits, Kind::LoginAccount, b"ada@example.com");
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 2, reset: 20 }));
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 1, reset: 40 }));
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 0, reset: 60 }));
        let Err(Limited { limit: 3, reset: 59..=60, retry_after: 19..=20 }) = login() else { panic!("{:?}", login()) };

        clock.advance(Duration::from_secs(20));
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 0, reset: 60 }));
        assert!(login().is_err());

        clock.advance(HOUR);
        assert_eq!(login(), Ok(Remaining { limit: 3, remaining: 2, reset: 20 }));
    }

    #[test]
    fn kinds_and_subjects_are_counted_apart() {
        let limits = limits(&Clock::default());
        assert!(local(&limits, Kind::LoginAddress, b"one").is_ok());
        assert!(local(&limits, Kind::LoginAddress, b"one").is_err());
        assert!(local(&limits, Kind::LoginAddress, b"two").is_ok());
        assert!(local(&limits, Kind::RefreshAddress, b"one").is_ok());
    }

    #[test]
    fn of_those_who_come_at_once_one_leases_and_the_others_ask_for_themselves() {
        let clock = Clock::default();
        let limiter = Limiter::new(Rate { burst: NonZeroU32::new(160).unwrap(), period: HOUR }, clock.clone());
        let mac = [0; 16];
        let asked = || match limiter.lease(mac) {
            Asking::Nobody => 0,
            Asking::For(attempts) => attempts,
        };
        assert_eq!([(); 3].map(|()| asked()), [10, 1, 1]);
        limiter.keep_leased(mac, 2);
        assert_eq!([(); 4].map(|()| asked()), [0, 0, 10, 1]);
        // The one who asked got no answer.
        clock.advance(LEASE_PATIENCE);
        assert_eq!([(); 2].map(|()| asked()), [10, 1]);
        limiter.keep_leased(mac, 9);
        clock.advance(HOUR);
        assert_eq!(asked(), 10, "what was leased counts for one period");
    }

    #[test]
    fn who_hits_a_limit_all_the_time_is_news_once_a_minute() {
        let clock = Clock::default();
        let limits = limits(&clock);
        let news = || ["one", "two"].map(|subject| limits.is_news("login-account", subject.as_bytes()));
        assert_eq!([news(), news()], [[true, true], [false, false]]);
        assert!(limits.is_news("login-address", b"one"));
        clock.advance(NEWS_INTERVAL);
        assert_eq!(news(), [true, true]);
    }

    #[test]
    fn a_sweep_forgets_who_needs_no_remembering_and_nobody_else() {
        let clock = Clock::default();
        let limits = limits(&clock);
        let known = || limits.login_address.as_ref().unwrap().states.len();
        assert!(local(&limits, Kind::LoginAddress, b"early").is_ok());
        clock.advance(HOUR * 3 / 2);
        assert!(local(&limits, Kind::LoginAddress, b"late").is_ok());
        clock.advance(HOUR / 2 + Duration::from_secs(1));
        assert_eq!(known(), 2);
        limits.sweep();
        assert!(local(&limits, Kind::LoginAddress, b"late").is_err());
        assert_eq!(known(), 1);
        clock.advance(HOUR * 2);
        limits.sweep();
        assert_eq!(known(), 0);
    }
}
