//! The cache by itself: which version of an entry stays, and what a mark beats.

use std::sync::Arc;
use std::time::Duration;

use keyturn::cache::{Cache, EntryVersion, RevocationMark};
use keyturn::clock::Clock;
use keyturn::config::{CacheKind, Redis as RedisSettings, RedisLayout};
use keyturn::metrics::Metrics;
use keyturn::types::{Jti, SessionId};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::support::{Backend, Deployment};

both_backends! {
    an_entry_never_moves_back_to_an_older_version,
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
        }),
    };
    (Cache::new(&kind, Clock::default(), &Metrics::new()).unwrap(), deployment)
}

const HOUR: Duration = Duration::from_secs(3600);

pub fn session() -> SessionId {
    SessionId(Uuid::from_bytes(keyturn::random::Random.bytes()))
}

const TOKEN: Jti = Jti(Uuid::nil());

async fn an_entry_never_moves_back_to_an_older_version(backend: Backend) {
    let (cache, _deployment) = cache(backend);
    let put = async |session, generation, revision| {
        let (version, entry) = (EntryVersion { generation, revision }, format!("{generation}.{revision}"));
        cache.put(session, version, entry.into_bytes(), None, HOUR).await.unwrap();
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
            cache.put(raced, version, generation.to_string().into_bytes(), None, HOUR).await.unwrap();
            let held = cache.lookup(raced, TOKEN).await.unwrap().entry.unwrap();
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
        cache.put(session, version, b"active".to_vec(), None, HOUR).await.unwrap();
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
                cache.put(session, version, b"active".to_vec(), None, HOUR).await.unwrap();
                assert!(cache.lookup(session, TOKEN).await.unwrap().revoked);
            })
        })
        .collect();
    for task in racing {
        task.await.unwrap();
    }
}
