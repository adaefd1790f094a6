//! Migrations: the same for both engines, applied once however many apply them, and reversible.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Barrier};

use diesel_migrations::MigrationHarness as _;
use keyturn::config::Config;
use keyturn::db::{Channel, Conn, DbError, migrate};
use keyturn::random::Random;

use crate::empty;
use crate::support::{Backend, Deployment, process};

both_backends! {
    migrations_are_pending_until_they_are_applied,
    migrations_go_down_and_up_again,
    migrations_applied_at_once_are_applied_once,
    programs_that_migrate_at_once_all_succeed,
    what_follows_the_migrations_runs_alone,
    a_failure_after_the_migrations_leaves_no_lock,
}

/// The names of an engine's migrations.
fn names(engine: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let folders: Vec<_> = entries.filter(|entry| entry.path().is_dir()).collect();
    for folder in &folders {
        for file in ["up.sql", "down.sql"] {
            assert!(folder.path().join(file).metadata().unwrap().len() > 0, "{:?}", folder.path());
        }
    }
    folders.iter().map(|folder| folder.file_name().into_string().unwrap()).collect()
}

#[test]
fn both_engines_have_the_same_migrations() {
    let postgres = names("postgres");
    assert!(!postgres.is_empty());
    assert_eq!(postgres, names("sqlite"));
    let numbers: Vec<&str> = postgres.iter().map(|name| name.split_once('_').unwrap().0).collect();
    let expected: Vec<String> = (1..=numbers.len()).map(|number| format!("{number:04}")).collect();
    assert_eq!(numbers, expected, "numbered without gaps");
}

#[test]
fn an_unknown_kind_of_database_is_an_error_and_no_new_file() {
    let folder = crate::support::folder::Folder::new();
    let data_dir = folder.path().join("data").display().to_string();
    for url in [
        "mysql://db.example/keyturn",
        "postgre://db.example/keyturn",
        "sqlite3:keyturn.db",
        "file:keyturn.db",
        "keyturn.db",
        "http://db.example",
        "postgres:",
        "://",
        "sqlite:",
        "sqlite::memory:",
    ] {
        let secret = crate::support::random_hex::<32>();
        let settings = [("DATABASE_URL", url), ("DATA_DIR", &data_dir), ("JWT_SECRET", &secret)];
        let error = Config::from_settings(&settings, &Random).err().unwrap_or_else(|| panic!("{url} is taken"));
        let said = error.to_string();
        assert!(said.contains("DATABASE_URL") && said.contains("postgres://"), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

async fn migrations_are_pending_until_they_are_applied(deployment: Arc<Deployment>) {
    let mut conn = empty(&deployment);
    let all: Vec<String> = names("postgres").into_iter().collect();
    assert_eq!(migrate::pending(&mut conn).unwrap(), all);
    let (applied, ()) = migrate::apply(&mut conn, |_| Ok(())).unwrap();
    assert_eq!(applied.len(), all.len());
    assert_eq!(migrate::pending(&mut conn).unwrap(), Vec::<String>::new());
    let (applied, ()) = migrate::apply(&mut conn, |_| Ok(())).unwrap();
    assert_eq!(applied, Vec::<String>::new());
}

async fn migrations_go_down_and_up_again(deployment: Arc<Deployment>) {
    let mut channel = empty(&deployment);
    migrate::apply(&mut channel, |_| Ok(())).unwrap();
    let before = deployment.tables();
    match &mut *channel {
        Conn::Postgres(conn) => drop(conn.revert_all_migrations(migrate::POSTGRES).unwrap()),
        Conn::Sqlite(conn) => drop(conn.revert_all_migrations(migrate::SQLITE).unwrap()),
    }
    let left = deployment.tables();
    let own = ["__diesel_schema_migrations", "sqlite_sequence"];
    assert!(left.iter().all(|table| own.iter().any(|own| table.ends_with(own))), "{left:?}");
    assert_eq!(migrate::pending(&mut channel).unwrap().len(), names("postgres").len());
    migrate::apply(&mut channel, |_| Ok(())).unwrap();
    assert_eq!(deployment.tables(), before);
}

/// Runs `work` in eight threads at once, each with a connection of its own.
fn at_once<T: Send + 'static>(deployment: &Arc<Deployment>, work: fn(&mut Channel) -> T) -> Vec<T> {
    std::fs::create_dir_all(deployment.data_dir()).unwrap();
    let barrier = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (deployment, barrier) = (Arc::clone(deployment), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                work(&mut deployment.conn().into())
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

async fn migrations_applied_at_once_are_applied_once(deployment: Arc<Deployment>) {
    let applied = at_once(&deployment, |conn| migrate::apply(conn, |_| Ok(())).unwrap().0);
    assert_eq!(applied.iter().map(Vec::len).sum::<usize>(), names("postgres").len(), "{applied:?}");
    assert_eq!(migrate::pending(&mut deployment.conn().into()).unwrap(), Vec::<String>::new());
}

async fn programs_that_migrate_at_once_all_succeed(deployment: Arc<Deployment>) {
    let start = || {
        let mut command = process::command(&deployment, &[]);
        command
            .arg("migrate")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let programs: Vec<_> = (0..4).map(|_| start()).collect();
    for program in programs {
        let output = program.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(migrate::pending(&mut deployment.conn().into()).unwrap(), Vec::<String>::new());
    assert_eq!(deployment.count("signing_keys"), 1);
}

async fn what_follows_the_migrations_runs_alone(deployment: Arc<Deployment>) {
    let made = at_once(&deployment, |conn| {
        let made = migrate::apply(conn, |conn| {
            use diesel::connection::SimpleConnection as _;
            conn.batch_execute("CREATE TABLE IF NOT EXISTS turns (turn integer)")?;
            conn.batch_execute("INSERT INTO turns SELECT count(*) FROM turns")?;
            Ok(())
        });
        made.is_ok()
    });
    assert_eq!(made, [true; 8]);
    assert_eq!(deployment.count("turns"), 8);
    assert_eq!(deployment.texts("SELECT DISTINCT CAST(turn AS text) AS text FROM turns").len(), 8);
}

async fn a_failure_after_the_migrations_leaves_no_lock(backend: Backend) {
    let deployment = Deployment::new(backend);
    let mut conn = empty(&deployment);
    let failed = migrate::apply(&mut conn, |_| Err::<(), _>(DbError::Unexpected("on purpose".to_owned())));
    assert!(matches!(failed, Err(DbError::Unexpected(_))));
    // On the same connection a lock could be taken again; on another one this would wait for ever.
    migrate::apply(&mut deployment.conn().into(), |_| Ok(())).unwrap();
    assert_eq!(migrate::pending(&mut conn).unwrap(), Vec::<String>::new());
}
