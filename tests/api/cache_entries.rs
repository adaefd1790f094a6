//! The cache by itself: which version of an entry stays, and what a mark beats.

use std::sync::Arc;
use std::time::Duration;

use keyturn::cache::{Cache, EntryVersion, NewEntry, RevocationMark, Superseded};
use keyturn::clock::Clock;
use keyturn::config::{CacheKind, Redis as RedisSettings, RedisLayout};
use keyturn::metrics::Metrics;
use keyturn::types::{Jti, SessionId};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::support::{Backend, Deployment};

both_backends! {
    an_entry_never_moves_back_to_an_older_version,
    tokens_stay_superseded_whichever_entry_comes_first,
    what_is_queued_is_there_after_a_flush,
}

scaled_only! {
    a_mark_beats_every_entry,
}

/// A cache without a server around it. The second part is the first's deployment, if there is one.
pub fn cache(backend: Backend) -> (Cache, Arc<Deployment>) {
    let deployment = Deployment::new(backend);
    let kind = match backend {
        Backend::Embedded => CacheKind::Memory,
        Backend::Scaled => CacheKind::Redis(RedisSettings {
            layout: RedisLayout::Single { url: Zeroizing::new(deployment.redis_url()) },
            ca_file: None,
            prefix: "keyturn".to_owned(),
            timeout: Duration::from_secs(5),
        }),
    };
    (Cache::new(&kind, Clock::default(), &Metrics::new()).unwrap(), deployment)
}

const HOUR: Duration = Duration::from_secs(3600);

pub fn session() -> SessionId {
    SessionId(Uuid::from_bytes(keyturn::random::Random.bytes()))
}

const TOKEN: Jti = Jti(Uuid::nil());

/// An entry that supersedes no token.
fn entry(session: SessionId, version: EntryVersion, bytes: impl Into<Vec<u8>>) -> NewEntry {
    NewEntry { session, version, bytes: bytes.into(), superseded: None, ttl: HOUR }
}

async fn an_entry_never_moves_back_to_an_older_version(backend: Backend) {
    let (cache, _deployment) = cache(backend);
    let put = async |session, generation, revision| {
        let version = EntryVersion { generation, revision };
        cache.put(entry(session, version, format!("{generation}.{revision}"))).await.unwrap();
    };
    let held = async |session| {
        let entry = cache.lookup(session, TOKEN).await.unwrap().entry;
        entry.map(|entry| String::from_utf8(entry).unwrap())
    };

    let one = session();
    assert_eq!(held(one).await, None);
    // Of a later generation though an earlier revision, as after a restore; numbers, not texts, are compared.
    for (generation, revision, holds) in [
        (2, 5, "2.5"),
        (1, 9, "2.5"),
        (2, 4, "2.5"),
        (2, 6, "2.6"),
        (3, 0, "3.0"),
        (10, 0, "10.0"),
        (9, 99, "10.0"),
        (10, 10, "10.10"),
        (10, 9, "10.10"),
    ] {
        put(one, generation, revision).await;
        assert_eq!(held(one).await.as_deref(), Some(holds));
    }

    let raced = session();
    let racing = (0..50).map(|number| {
        let (cache, generation) = (cache.clone(), i64::from((number * 37) % 50));
        tokio::spawn(async move {
            let version = EntryVersion { generation, revision: 50 - generation };
            // On a busy machine a call may take longer than it is waited for.
            while cache.put(entry(raced, version, generation.to_string())).await.is_err() {}
            let held = loop {
                if let Ok(found) = cache.lookup(raced, TOKEN).await {
                    break found.entry.unwrap();
                }
            };
            assert!(String::from_utf8(held).unwrap().parse::<i64>().unwrap() >= generation);
        })
    });
    for task in racing.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(held(raced).await.as_deref(), Some("49"));
}

async fn a_mark_beats_every_entry(backend: Backend) {
    let (cache, _deployment) = cache(backend);
    let (session, now) = (session(), Clock::default().now());
    let put = async |generation| {
        let version = EntryVersion { generation, revision: generation };
        cache.put(entry(session, version, "active")).await.unwrap();
    };
    put(1).await;
    assert!(!cache.lookup(session, TOKEN).await.unwrap().revoked);
    cache.mark_revoked(&[RevocationMark { session, before: None, expires_at: now.plus(HOUR) }], now).await.unwrap();
    put(2).await;
    assert!(cache.lookup(session, TOKEN).await.unwrap().revoked);

    // Whichever comes last.
    let racing: Vec<_> = (0..50)
        .map(|generation| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let version = EntryVersion { generation, revision: 0 };
                if generation == 25 {
                    cache
                        .mark_revoked(&[RevocationMark { session, before: None, expires_at: now.plus(HOUR) }], now)
                        .await
                        .unwrap();
                }
                cache.put(entry(session, version, "active")).await.unwrap();
                assert!(cache.lookup(session, TOKEN).await.unwrap().revoked);
            })
        })
        .collect();
    for task in racing {
        task.await.unwrap();
    }
}

async fn tokens_stay_superseded_whichever_entry_comes_first(backend: Backend) {
    let (cache, _deployment) = cache(backend);
    let now = Clock::default().now();
    let token = |number: i64| Jti(Uuid::from_u128(u128::try_from(number).unwrap()));
    let from = |number: i64| now.plus(Duration::from_secs(u64::try_from(number).unwrap()));
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let session = session();
        for generation in order.into_iter().chain([2]) {
            let version = EntryVersion { generation, revision: generation };
            let superseded = Some(Superseded { jti: token(generation), from: from(generation) });
            let entry = NewEntry { superseded, ..entry(session, version, generation.to_string()) };
            cache.put(entry).await.unwrap();
        }
        for number in 1..=3 {
            let found = cache.lookup(session, token(number)).await.unwrap();
            assert_eq!(found.superseded_from, Some(from(number)), "{order:?}, {number}");
            assert_eq!(found.entry.as_deref(), Some(&b"3"[..]), "{order:?}, {number}");
        }
        assert_eq!(cache.lookup(session, token(4)).await.unwrap().superseded_from, None);
    }
    // However many there are, the entry is found and the last ones are known.
    let session = session();
    for generation in 1..=40 {
        let version = EntryVersion { generation, revision: 0 };
        let superseded = Some(Superseded { jti: token(generation), from: from(generation) });
        cache.put(NewEntry { superseded, ..entry(session, version, "many") }).await.unwrap();
    }
    for number in 33..=40 {
        let found = cache.lookup(session, token(number)).await.unwrap();
        assert_eq!((found.superseded_from, found.entry.as_deref()), (Some(from(number)), Some(&b"many"[..])));
    }
}

async fn what_is_queued_is_there_after_a_flush(backend: Backend) {
    let (cache, _deployment) = cache(backend);
    let writer = tokio::spawn(cache.clone().run());
    let sessions: Vec<SessionId> = (0..1000).map(|_| session()).collect();
    for some in sessions.chunks(7) {
        let version = EntryVersion { generation: 1, revision: 1 };
        cache.queue(some.iter().map(|session| entry(*session, version, session.to_string())).collect());
    }
    cache.flush().await;
    for session in sessions {
        assert_eq!(cache.lookup(session, TOKEN).await.unwrap().entry, Some(session.to_string().into_bytes()));
    }
    writer.abort();
}
