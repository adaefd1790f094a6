//! The script that counts attempts for all servers, run by a real Redis.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{Client, Connection, Script, cmd};
use keyturn::cache::gcra::{self, Decision};
use keyturn::types::Rate;

/// A Redis on a socket of its own, which ends with the test.
struct Redis {
    server: Child,
    directory: PathBuf,
}

impl Redis {
    fn start(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("keyturn-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let program = std::env::var("KEYTURN_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let server = Command::new(program)
            .args(["--port", "0", "--save", "", "--unixsocket", "socket"])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, from PATH or KEYTURN_TEST_REDIS_SERVER");
        Self { server, directory }
    }

    fn connect(&self) -> Connection {
        let client = Client::open(format!("redis+unix://{}/socket", self.directory.display())).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(error) if Instant::now() > deadline => panic!("no Redis: {error}"),
                Err(_) => std::thread::yield_now(),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn rate(burst: u32, period: Duration) -> Rate {
    Rate { burst: NonZeroU32::new(burst).unwrap(), period }
}

fn attempt(redis: &mut Connection, key: &str, rate: Rate) -> Decision {
    attempts(redis, key, rate, 1)
}

fn attempts(redis: &mut Connection, key: &str, rate: Rate, asked: u32) -> Decision {
    let arguments = gcra::arguments(rate, asked);
    let reply: Vec<i64> = Script::new(gcra::SCRIPT).key(key).arg(&arguments).invoke(redis).unwrap();
    gcra::parse(&reply).unwrap_or_else(|| panic!("{reply:?}"))
}

#[test]
fn a_burst_is_let_through_then_refused_with_the_time_to_wait() {
    let redis = Redis::start("burst");
    let mut redis = redis.connect();
    let rate = rate(3, Duration::from_secs(3600));
    for remaining in [2, 1, 0] {
        let decision = attempt(&mut redis, "key", rate);
        assert_eq!((decision.granted, decision.remaining), (1, remaining));
        let full = Duration::from_secs(1200) * (3 - remaining);
        assert!(decision.reset <= full && decision.reset > full - Duration::from_secs(60), "{decision:?}");
    }
    let refused = attempt(&mut redis, "key", rate);
    assert_eq!((refused.granted, refused.remaining), (0, 0));
    let soon = Duration::from_secs(1140)..=Duration::from_secs(1200);
    assert!(soon.contains(&refused.retry_after), "{refused:?}");
    assert!(soon.contains(&(refused.reset - Duration::from_secs(2400))), "{refused:?}");
    assert!(attempt(&mut redis, "other", rate).granted == 1);

    let ttl: i64 = cmd("PTTL").arg("key").query(&mut redis).unwrap();
    assert!((3_500_000..=3_600_000).contains(&ttl), "{ttl}");
}

#[test]
fn one_more_is_let_through_after_the_time_told_and_not_before() {
    let server = Redis::start("refill");
    let mut redis = server.connect();
    let rate = rate(2, Duration::from_millis(100));
    let begun = Instant::now();
    let mut told = Duration::ZERO;
    for _ in 0..2 + 5 {
        loop {
            let decision = attempt(&mut redis, "key", rate);
            if decision.granted == 1 {
                break;
            }
            told = told.max(decision.retry_after);
            assert!(begun.elapsed() < Duration::from_secs(30), "never let through again");
        }
    }
    assert!(begun.elapsed() >= Duration::from_millis(5 * 50));
    assert!((1..=50).contains(&told.as_millis()), "{told:?}");
}

#[test]
fn servers_count_together() {
    let redis = Redis::start("together");
    let rate = rate(50, Duration::from_secs(3600));
    let let_through: usize = std::thread::scope(|scope| {
        let servers: Vec<_> = (0..4)
            .map(|_| {
                let mut redis = redis.connect();
                scope.spawn(move || (0..25).filter(|_| attempt(&mut redis, "key", rate).granted == 1).count())
            })
            .collect();
        servers.into_iter().map(|server| server.join().unwrap()).sum()
    });
    assert_eq!(let_through, 50);
}

#[test]
fn several_are_granted_at_once_and_fewer_when_fewer_are_there() {
    let redis = Redis::start("several");
    let mut redis = redis.connect();
    let rate = rate(10, Duration::from_secs(3600));
    let granted = [7, 7, 7].map(|asked| attempts(&mut redis, "key", rate, asked).granted);
    assert_eq!(granted, [7, 3, 0]);
}
