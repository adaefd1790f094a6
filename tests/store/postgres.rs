//! Connections to Postgres in themselves: what was sent comes back, and what fails leaves no trace.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text};
use keyturn::db::{DbError, PgConnection};

use crate::support::Deployment;

scaled_only! {
    values_of_every_size_come_back,
    a_statement_that_fails_leaves_its_connection_as_it_was,
    a_statement_is_prepared_once_and_again_after_it_failed,
    the_state_of_a_transaction_is_known,
    a_session_that_the_server_ends_is_lost_with_its_reason,
    a_server_that_is_silent_for_too_long_is_lost,
    what_is_not_spoken_loses_the_connection_and_does_not_stop_it,
    errors_tell_what_the_server_told,
}

#[derive(QueryableByName, Debug, PartialEq)]
struct Row {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
    #[diesel(sql_type = Binary)]
    bytes: Vec<u8>,
}

fn connect(deployment: &Deployment) -> PgConnection {
    PgConnection::establish(&deployment.database_url()).unwrap()
}

fn one(conn: &mut PgConnection) -> QueryResult<i32> {
    diesel::select(1.into_sql::<Integer>()).get_result(conn)
}

fn kind(error: &Error) -> &DatabaseErrorKind {
    match error {
        Error::DatabaseError(kind, _) => kind,
        other => panic!("{other:?}"),
    }
}

async fn values_of_every_size_come_back(deployment: Arc<Deployment>) {
    let conn = &mut connect(&deployment);
    for size in [0, 1, 8_191, 8_192, 8_193, 3_000_000] {
        let bytes: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect();
        for text in [None, Some("ß".repeat(size / 2))] {
            let query = diesel::sql_query("SELECT $1 AS number, $2 AS text, $3 AS bytes");
            let query = query.bind::<BigInt, _>(-7).bind::<Nullable<Text>, _>(&text).bind::<Binary, _>(&bytes);
            assert_eq!(query.get_result::<Row>(conn).unwrap(), Row { number: -7, text, bytes: bytes.clone() });
        }
    }
    let rows = diesel::sql_query(
        "SELECT n::bigint AS number, NULL AS text, ''::bytea AS bytes FROM generate_series(1, 50000) n",
    );
    let rows: Vec<Row> = rows.load(conn).unwrap();
    assert!(rows.len() == 50_000 && rows.iter().zip(1..).all(|(row, number)| row.number == number));
    assert_eq!(diesel::sql_query("SELECT 1 WHERE false").execute(conn).unwrap(), 0);
}

async fn a_statement_that_fails_leaves_its_connection_as_it_was(deployment: Arc<Deployment>) {
    let conn = &mut connect(&deployment);
    conn.batch_execute("CREATE TEMP TABLE t (id integer PRIMARY KEY, name text NOT NULL)").unwrap();
    for _ in 0..3 {
        let failed = diesel::sql_query("INSERT INTO t VALUES (1, 'a'), (1, 'b')").execute(conn).unwrap_err();
        assert!(matches!(kind(&failed), DatabaseErrorKind::UniqueViolation));
        // A failure in the middle of several statements takes back all of them.
        conn.batch_execute("INSERT INTO t VALUES (2, 'c'); SELECT * FROM t; INSERT INTO t VALUES (3, NULL)")
            .unwrap_err();
        conn.batch_execute("this is no SQL").unwrap_err();
        assert_eq!(diesel::sql_query("DELETE FROM t").execute(conn).unwrap(), 0);
        // Notices and rows of statements without parameters are passed over.
        conn.batch_execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$; SELECT 1; LISTEN here; NOTIFY here").unwrap();
        assert_eq!(one(conn).unwrap(), 1);
    }
    // A parameter that cannot be sent is not.
    let many = diesel::sql_query(format!("SELECT {}", vec!["$1"; 70_000].join(","))).bind::<Integer, _>(1);
    many.execute(conn).unwrap_err();
    assert_eq!(one(conn).unwrap(), 1);
}

async fn a_statement_is_prepared_once_and_again_after_it_failed(deployment: Arc<Deployment>) {
    let conn = &mut connect(&deployment);
    let prepared = |conn: &mut PgConnection| {
        let count = diesel::sql_query(
            "SELECT count(*) AS number, NULL AS text, ''::bytea AS bytes FROM pg_prepared_statements",
        );
        count.get_result::<Row>(conn).unwrap().number
    };
    let before = prepared(conn);
    conn.transaction(|conn| {
        // A table that is not there yet.
        early_birds::table.count().get_result::<i64>(conn).unwrap_err();
        Err::<(), _>(Error::RollbackTransaction)
    })
    .unwrap_err();
    assert_eq!(prepared(conn), before);
    conn.batch_execute("CREATE TEMP TABLE early_birds (id integer PRIMARY KEY)").unwrap();
    for _ in 0..3 {
        assert_eq!(early_birds::table.count().get_result::<i64>(conn).unwrap(), 0);
        assert_eq!(prepared(conn), before + 1);
    }
}

diesel::table! {
    early_birds (id) {
        id -> Integer,
    }
}

async fn the_state_of_a_transaction_is_known(deployment: Arc<Deployment>) {
    let conn = &mut connect(&deployment);
    conn.batch_execute("CREATE TEMP TABLE t (id integer PRIMARY KEY)").unwrap();
    let insert = |conn: &mut PgConnection, id: i32| {
        diesel::sql_query("INSERT INTO t VALUES ($1)").bind::<Integer, _>(id).execute(conn)
    };
    let nested: QueryResult<()> = conn.transaction(|conn| {
        insert(conn, 1)?;
        // A failure within costs what is within.
        conn.transaction(|conn| insert(conn, 1).map(drop)).unwrap_err();
        conn.transaction(|conn| insert(conn, 2).map(drop))
    });
    nested.unwrap();
    let failed: QueryResult<()> = conn.transaction(|conn| {
        insert(conn, 3)?;
        insert(conn, 1).map(drop)
    });
    assert!(matches!(kind(&failed.unwrap_err()), DatabaseErrorKind::UniqueViolation));
    // Each by itself, as the code's own transactions are begun.
    conn.batch_execute("BEGIN").unwrap();
    insert(conn, 2).unwrap_err();
    let refused = one(conn).unwrap_err();
    assert!(refused.to_string().contains("current transaction is aborted"), "{refused}");
    conn.batch_execute("ROLLBACK").unwrap();
    let left = diesel::sql_query("SELECT count(*) AS number, NULL AS text, ''::bytea AS bytes FROM t");
    assert_eq!(left.get_result::<Row>(conn).unwrap().number, 2);
}

async fn a_session_that_the_server_ends_is_lost_with_its_reason(deployment: Arc<Deployment>) {
    let other = &mut connect(&deployment);
    for statement in ["SELECT pg_terminate_backend(pg_backend_pid())", ""] {
        let mut conn = connect(&deployment);
        let lost = if statement.is_empty() {
            let pid: i32 =
                diesel::select(diesel::dsl::sql::<Integer>("pg_backend_pid()")).get_result(&mut conn).unwrap();
            diesel::sql_query("SELECT pg_terminate_backend($1, 10000)").bind::<Integer, _>(pid).execute(other).unwrap();
            one(&mut conn).unwrap_err()
        } else {
            conn.batch_execute(statement).unwrap_err()
        };
        assert!(matches!(kind(&lost), DatabaseErrorKind::ClosedConnection));
        assert!(lost.to_string().contains("terminating connection due to administrator command"), "{lost}");
        assert!(matches!(DbError::from(lost), DbError::Unavailable(_)));
        for _ in 0..2 {
            let again = one(&mut conn).unwrap_err();
            assert!(matches!(kind(&again), DatabaseErrorKind::ClosedConnection));
            conn.batch_execute("ROLLBACK").unwrap_err();
        }
        assert!(conn.transaction(one).is_err());
    }
}

async fn a_server_that_is_silent_for_too_long_is_lost(deployment: Arc<Deployment>) {
    let mut conn = connect(&deployment);
    conn.set_answer_timeout(Duration::from_millis(50)).unwrap();
    let lost = conn.batch_execute("SELECT pg_sleep(3600)").unwrap_err();
    assert!(matches!(kind(&lost), DatabaseErrorKind::ClosedConnection));
    assert!(lost.to_string().contains("did not answer in time"), "{lost}");
    assert!(one(&mut conn).unwrap_err().to_string().contains("was lost before"));
}

async fn what_is_not_spoken_loses_the_connection_and_does_not_stop_it(deployment: Arc<Deployment>) {
    for statement in ["COPY (SELECT 1) TO STDOUT", "CREATE TEMP TABLE t (id integer); COPY t FROM STDIN"] {
        let mut conn = connect(&deployment);
        let lost = conn.batch_execute(statement).unwrap_err();
        assert!(matches!(kind(&lost), DatabaseErrorKind::ClosedConnection), "{lost}");
    }
}

async fn errors_tell_what_the_server_told(deployment: Arc<Deployment>) {
    let conn = &mut connect(&deployment);
    conn.batch_execute(
        "CREATE TABLE told (id integer CONSTRAINT told_id UNIQUE, parent integer CONSTRAINT told_parent REFERENCES told \
         (id), size integer NOT NULL CONSTRAINT told_size CHECK (size > 0), EXCLUDE (size WITH =))",
    )
    .unwrap();
    conn.batch_execute("INSERT INTO told VALUES (1, NULL, 5)").unwrap();
    let mut fail = |statement: &str| conn.batch_execute(statement).unwrap_err();
    for (statement, constraint) in [
        ("INSERT INTO told VALUES (1, NULL, 6)", Some("told_id")),
        ("INSERT INTO told VALUES (2, 9, 6)", Some("told_parent")),
        ("INSERT INTO told VALUES (2, 1, -1)", Some("told_size")),
        ("INSERT INTO told VALUES (2, 1, 5)", Some("told_size_excl")),
        ("INSERT INTO told VALUES (2, 1, NULL)", None),
        ("BEGIN READ ONLY; INSERT INTO told VALUES (3, 1, 7)", None),
    ] {
        let error = fail(statement);
        let Error::DatabaseError(kind, information) = &error else { panic!("{error:?}") };
        assert!(!matches!(kind, DatabaseErrorKind::Unknown | DatabaseErrorKind::ClosedConnection), "{statement}");
        assert_eq!(information.constraint_name(), constraint, "{statement}");
    }
    let error = fail("ROLLBACK; SELECT 1 FROM nowhere");
    let Error::DatabaseError(_, information) = &error else { panic!("{error:?}") };
    assert_eq!(
        (information.message(), information.statement_position()),
        ("relation \"nowhere\" does not exist", Some(25))
    );
    let ids: Vec<i32> = diesel::select(diesel::dsl::sql::<Array<Integer>>("ARRAY[1, 2]")).get_result(conn).unwrap();
    assert_eq!(ids, [1, 2]);
}
