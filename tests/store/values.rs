//! Values: what is written is read again, to the bit, from every column of every table; and what cannot be written
//! fails alike.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use diesel::prelude::*;
use keyturn::db::schema::{
    audit_log, client_secrets, clients, dpop_proofs, email_changes, email_counts, hourly_counts, leases,
    login_failures, mfa_challenges, opaque_tokens, outbox, recovery_codes, revocations, secrets, sessions, setup_codes,
    signing_keys, totp_secrets, trusted_devices, users, write_probes,
};
use keyturn::db::types::{IpColumn, Json};
use keyturn::db::{Conn, DbError, DbResult};
use keyturn::types::{Amr, ClientId, Jti, KeyId, KeyThumbprint, Roles, SessionId, Timestamp, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::migrated;
use crate::support::{Backend, Deployment};

both_backends! {
    the_tables_have_the_columns_that_the_schema_has,
    users_are_read_as_they_were_written,
    sessions_are_read_as_they_were_written,
    signing_keys_are_read_as_they_were_written,
    secrets_are_read_as_they_were_written,
    revocations_are_numbered_in_their_order,
    times_compare_and_sort_as_times,
    an_address_has_one_account,
    a_value_that_is_taken_is_told_alike,
    a_session_needs_its_account_and_goes_with_it,
    what_may_not_be_missing_is_refused,
    a_text_with_nul_is_not_taken_for_an_outage,
    a_transaction_is_done_whole_or_not_at_all,
}

#[derive(Clone, Debug, PartialEq, Queryable, Insertable)]
#[diesel(table_name = users)]
struct User {
    id: UserId,
    email: String,
    email_normalized: String,
    name: Option<String>,
    password_hash: String,
    roles: Roles,
    created_at: Timestamp,
    password_changed_at: Timestamp,
    last_login_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    email_verified_at: Option<Timestamp>,
    alerts: bool,
    revision: i64,
    deletes_at: Option<Timestamp>,
    name_normalized: Option<String>,
    first_verified_at: Option<Timestamp>,
    language: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Queryable, Insertable)]
#[diesel(table_name = sessions)]
struct Session {
    id: SessionId,
    user_id: UserId,
    created_at: Timestamp,
    authenticated_at: Timestamp,
    last_active_at: Timestamp,
    expires_at: Timestamp,
    ends_at: Timestamp,
    generation: i64,
    revision: i64,
    token_digest: Vec<u8>,
    parent_digest: Option<Vec<u8>>,
    rotation_salt: Option<Vec<u8>>,
    issued_at: Timestamp,
    access_expires_at: Timestamp,
    access_jti: Jti,
    former_jti: Option<Jti>,
    access_seen: bool,
    recovered: bool,
    recovery_debt: i32,
    recoveries: i32,
    replays: i32,
    revoked_at: Option<Timestamp>,
    revoked_reason: Option<String>,
    revoked_by: Option<UserId>,
    ip: Option<IpColumn>,
    user_agent: Option<String>,
    device: Json,
    name: Option<String>,
    amr: Amr,
    client_id: String,
    location: Option<Json>,
    actor_id: Option<UserId>,
    parent_id: Option<SessionId>,
    account_revision: i64,
    valid_from_revision: i64,
    rotation_key: Option<Vec<u8>>,
    former_rotation_key: Option<Vec<u8>>,
    doubted_generation: Option<i64>,
    doubted_at: Option<Timestamp>,
    dpop_jkt: Option<KeyThumbprint>,
    kind: String,
    cookie_digest: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Queryable, Insertable)]
#[diesel(table_name = signing_keys)]
struct Key {
    id: KeyId,
    key_use: String,
    algorithm: String,
    public_key: Vec<u8>,
    sealed_private_key: Vec<u8>,
    created_at: Timestamp,
    active_from: Timestamp,
    retired_at: Option<Timestamp>,
    remove_after: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    token_ttl: i64,
    wanted_until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Queryable, Insertable)]
#[diesel(table_name = secrets)]
struct Secret {
    fingerprint: Vec<u8>,
    in_force_from: Timestamp,
    replaces: bool,
    resealed_at: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Queryable)]
struct Revocation {
    seq: i64,
    txid: i64,
    session_id: Option<SessionId>,
    user_id: Option<UserId>,
    reason: String,
    revoked_at: Timestamp,
    expires_at: Timestamp,
    before_revision: Option<i64>,
    jti: Option<Jti>,
    key_id: Option<KeyId>,
    client_id: Option<ClientId>,
}

/// Milliseconds around the epochs of Unix and of Postgres, and at both ends of the calendar.
const TIMES: [i64; 12] = [
    -62_135_596_800_000,
    -62_135_596_799_999,
    -1001,
    -1000,
    -1,
    0,
    1,
    946_684_799_999,
    946_684_800_000,
    946_684_800_001,
    1_700_000_000_007,
    253_402_300_799_999,
];

const TEXTS: [&str; 8] = [
    "",
    " ",
    "'; DROP TABLE users; --",
    "\"\\\n\r\t\u{7f}",
    "Z\u{fc}rich Zu\u{308}rich",
    "\u{1f98b}\u{200d}\u{fe0f}",
    "\u{10ffff}",
    "خط اليد",
];

const ADDRESSES: [&str; 8] = [
    "0.0.0.0",
    "127.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::7",
    "::ffff:192.0.2.1",
];

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn time(n: usize) -> Timestamp {
    Timestamp::from_millis(TIMES[n % TIMES.len()])
}

fn text(n: usize) -> String {
    TEXTS[n % TEXTS.len()].to_owned()
}

fn documents() -> Vec<serde_json::Value> {
    vec![
        json!({}),
        json!([]),
        json!(null),
        json!("\u{1f98b} \"quoted\" \\ \n"),
        json!({"": "", "a b": [1, -1, 0.5, 1e300, true, null], "ключ": {"\u{1f511}": ["\u{10ffff}"]}}),
        json!({"largest": i64::MAX, "least": i64::MIN}),
    ]
}

fn user(n: usize) -> User {
    let some = |value: usize| n.is_multiple_of(2).then_some(value);
    User {
        id: UserId(match n {
            0 => Uuid::nil(),
            1 => Uuid::max(),
            n => id(n as u128),
        }),
        email: text(n),
        email_normalized: format!("{n}{}", text(n + 1)),
        name: some(n).map(text),
        password_hash: text(n + 2),
        roles: serde_json::from_value(json!(TEXTS[..n % TEXTS.len()])).unwrap(),
        created_at: time(n),
        password_changed_at: time(n + 1),
        last_login_at: some(n + 2).map(time),
        disabled_at: some(n + 3).map(time),
        email_verified_at: some(n + 4).map(time),
        alerts: n.is_multiple_of(3),
        revision: i64::MAX,
        deletes_at: some(n + 5).map(time),
        name_normalized: some(n + 6).map(text),
        first_verified_at: some(n + 7).map(time),
        language: some(n + 8).map(|_| "pt-BR".to_owned()),
    }
}

fn session(n: usize, owner: UserId) -> Session {
    let some = n.is_multiple_of(2);
    let bytes = |n: usize| (0..n * 64 % 257).map(|byte| byte as u8).collect::<Vec<u8>>();
    let documents = documents();
    let extreme = [i64::MAX, i64::MIN, 0, -1];
    Session {
        id: SessionId(id(n as u128 + 1)),
        user_id: owner,
        created_at: time(n),
        authenticated_at: time(n + 1),
        last_active_at: time(n + 2),
        expires_at: time(n + 3),
        ends_at: time(n + 4),
        generation: extreme[n % 4],
        revision: extreme[(n + 1) % 4],
        token_digest: bytes(n),
        parent_digest: some.then(|| bytes(n + 4)),
        rotation_salt: some.then(Vec::new),
        issued_at: time(n + 5),
        access_expires_at: time(n + 6),
        access_jti: Jti(Uuid::max()),
        former_jti: some.then(|| Jti(Uuid::nil())),
        access_seen: some,
        recovered: !some,
        recovery_debt: i32::MAX,
        recoveries: i32::MIN,
        replays: -1,
        revoked_at: some.then(|| time(n + 6)),
        revoked_reason: some.then(|| text(n)),
        revoked_by: some.then_some(owner),
        ip: (n < ADDRESSES.len()).then(|| IpColumn(ADDRESSES[n].parse::<IpAddr>().unwrap())),
        user_agent: some.then(|| text(n + 1)),
        device: Json(documents[n % documents.len()].clone()),
        name: some.then(|| text(n + 2)),
        amr: Amr::new(&[&text(n), &text(n + 1)]),
        client_id: text(n + 3),
        location: some.then(|| Json(documents[(n + 2) % documents.len()].clone())),
        actor_id: some.then_some(owner),
        parent_id: some.then(|| SessionId(Uuid::max())),
        account_revision: extreme[(n + 2) % 4],
        valid_from_revision: extreme[(n + 3) % 4],
        rotation_key: some.then(|| bytes(n + 1)),
        former_rotation_key: some.then(|| bytes(n + 2)),
        doubted_generation: some.then_some(extreme[n % 4]),
        doubted_at: some.then(|| time(n + 7)),
        dpop_jkt: some.then(|| KeyThumbprint::new([n as u8; 32])),
        kind: if n.is_multiple_of(2) { "app" } else { "browser" }.to_owned(),
        cookie_digest: some.then(|| bytes(n + 8)),
    }
}

/// Inserts; an error as the stores see it.
fn insert_user(conn: &mut Conn, user: &User) -> DbResult<()> {
    diesel::insert_into(users::table).values(user).execute(conn)?;
    Ok(())
}

fn insert_session(conn: &mut Conn, session: &Session) -> DbResult<()> {
    diesel::insert_into(sessions::table).values(session).execute(conn)?;
    Ok(())
}

async fn the_tables_have_the_columns_that_the_schema_has(deployment: Arc<Deployment>) {
    migrated(&deployment);
    macro_rules! columns {
        ($($table:ident),+) => {
            [$({
                let all = $table::table.select($table::all_columns);
                (stringify!($table), diesel::debug_query::<diesel::sqlite::Sqlite, _>(&all).to_string())
            }),+]
        };
    }
    let own = columns!(
        users,
        sessions,
        signing_keys,
        secrets,
        revocations,
        audit_log,
        opaque_tokens,
        email_changes,
        outbox,
        email_counts,
        totp_secrets,
        recovery_codes,
        mfa_challenges,
        trusted_devices,
        login_failures,
        hourly_counts,
        leases,
        write_probes,
        clients,
        client_secrets,
        dpop_proofs,
        setup_codes
    );
    for (table, query) in &own {
        let selected = query.split(" FROM ").next().unwrap();
        let names = selected.split('`').skip(3).step_by(4).map(str::to_owned);
        let kept = deployment.texts(&match deployment.backend {
            Backend::Embedded => format!("SELECT name AS text FROM pragma_table_info('{table}')"),
            Backend::Scaled => format!(
                "SELECT column_name::text AS text FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}'"
            ),
        });
        assert_eq!(names.collect::<BTreeSet<_>>(), kept.into_iter().collect(), "{table}");
    }
    let others = ["__diesel_schema_migrations", "sqlite_sequence"];
    let known = |name: &str| others.contains(&name) || own.iter().any(|(table, _)| *table == name);
    let tables = deployment.tables();
    assert!(tables.iter().all(|table| known(table.rsplit('.').next().unwrap())), "{tables:?}");
}

async fn users_are_read_as_they_were_written(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    for n in 0..TIMES.len() {
        let written = user(n);
        insert_user(&mut conn, &written).unwrap();
        let read: User = users::table.find(written.id).first(&mut conn).unwrap();
        assert_eq!(read, written);
        let found: User =
            users::table.filter(users::email_normalized.eq(&written.email_normalized)).first(&mut conn).unwrap();
        assert_eq!(found.id, written.id);
    }
}

async fn sessions_are_read_as_they_were_written(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    let owner = user(2);
    insert_user(&mut conn, &owner).unwrap();
    for n in 0..TIMES.len() {
        let written = session(n, owner.id);
        insert_session(&mut conn, &written).unwrap();
        let read: Session = sessions::table.find(written.id).first(&mut conn).unwrap();
        assert_eq!(read, written);
    }
    for address in ADDRESSES {
        let address = IpColumn(address.parse().unwrap());
        let found: i64 = sessions::table.filter(sessions::ip.eq(address)).count().get_result(&mut conn).unwrap();
        assert_eq!(found, 1, "{address:?}");
    }
}

async fn secrets_are_read_as_they_were_written(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    let present: Vec<Secret> = secrets::table.load(&mut conn).unwrap();
    assert_eq!(present, []);
    for n in 0..TIMES.len() {
        let written = Secret {
            fingerprint: vec![u8::try_from(n).unwrap(); 16],
            in_force_from: time(n),
            replaces: n.is_multiple_of(2),
            resealed_at: n.is_multiple_of(3).then(|| time(n + 1)),
        };
        diesel::insert_into(secrets::table).values(&written).execute(&mut conn).unwrap();
        assert_eq!(secrets::table.find(&written.fingerprint).first::<Secret>(&mut conn).unwrap(), written);
    }
}

fn insert_key(conn: &mut Conn, n: usize) -> Key {
    let key = Key {
        id: KeyId(id(n as u128)),
        key_use: format!("use {n}"),
        algorithm: text(n),
        public_key: (0..=255).collect(),
        sealed_private_key: vec![0; n],
        created_at: time(n),
        active_from: time(n + 1),
        retired_at: n.is_multiple_of(2).then(|| time(n + 2)),
        remove_after: n.is_multiple_of(2).then(|| time(n + 3)),
        revoked_at: n.is_multiple_of(3).then(|| time(n + 4)),
        token_ttl: i64::MAX - n as i64,
        wanted_until: time(n + 5),
    };
    diesel::insert_into(signing_keys::table).values(&key).execute(conn).unwrap();
    key
}

async fn signing_keys_are_read_as_they_were_written(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    for n in 0..TIMES.len() {
        let written = insert_key(&mut conn, n);
        assert_eq!(signing_keys::table.find(written.id).first::<Key>(&mut conn).unwrap(), written);
    }
}

fn append(conn: &mut Conn, n: usize) {
    let values = (
        revocations::session_id.eq(SessionId(id(n as u128))),
        revocations::user_id.eq(UserId(Uuid::max())),
        revocations::reason.eq(text(n)),
        revocations::revoked_at.eq(time(n)),
        revocations::expires_at.eq(time(n + 1)),
        revocations::before_revision.eq(n.is_multiple_of(2).then_some(i64::MAX)),
    );
    diesel::insert_into(revocations::table).values(values).execute(conn).unwrap();
}

async fn revocations_are_numbered_in_their_order(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    (0..TIMES.len()).for_each(|n| append(&mut conn, n));
    let read: Vec<Revocation> = revocations::table.order(revocations::seq).load(&mut conn).unwrap();
    for (n, revocation) in read.iter().enumerate() {
        let written = Revocation {
            seq: revocation.seq,
            txid: revocation.txid,
            session_id: Some(SessionId(id(n as u128))),
            user_id: Some(UserId(Uuid::max())),
            reason: text(n),
            revoked_at: time(n),
            expires_at: time(n + 1),
            before_revision: n.is_multiple_of(2).then_some(i64::MAX),
            jti: None,
            key_id: None,
            client_id: None,
        };
        assert_eq!(*revocation, written);
    }
    assert_eq!(read.len(), TIMES.len());
    // A number is never given out again, not even that of a row which was the last and is gone.
    let last = read.last().unwrap().seq;
    diesel::delete(revocations::table).execute(&mut conn).unwrap();
    append(&mut conn, 0);
    assert!(revocations::table.select(revocations::seq).first::<i64>(&mut conn).unwrap() > last);
}

async fn times_compare_and_sort_as_times(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    for n in (0..TIMES.len()).rev() {
        insert_user(&mut conn, &user(n)).unwrap();
    }
    let sorted: Vec<Timestamp> =
        users::table.select(users::created_at).order(users::created_at).load(&mut conn).unwrap();
    assert_eq!(sorted, TIMES.map(Timestamp::from_millis));
    for (n, millis) in TIMES.iter().enumerate() {
        let before = users::table.filter(users::created_at.lt(Timestamp::from_millis(*millis))).count();
        assert_eq!(before.get_result::<i64>(&mut conn).unwrap(), i64::try_from(n).unwrap(), "{millis}");
    }
}

fn taken(result: DbResult<()>) -> String {
    match result {
        Err(DbError::Taken { constraint }) => constraint,
        other => panic!("not refused as taken: {other:?}"),
    }
}

async fn an_address_has_one_account(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    insert_user(&mut conn, &user(2)).unwrap();
    let same = User { email_normalized: user(2).email_normalized, ..user(3) };
    let constraint = taken(insert_user(&mut conn, &same));
    assert!(constraint.contains("email_normalized"), "{constraint}");
    assert_eq!(deployment.count("users"), 1);
}

async fn a_value_that_is_taken_is_told_alike(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    insert_user(&mut conn, &user(2)).unwrap();
    taken(insert_user(&mut conn, &User { id: user(2).id, ..user(3) }));
    insert_session(&mut conn, &session(0, user(2).id)).unwrap();
    taken(insert_session(&mut conn, &session(0, user(2).id)));
    // In a transaction too, which can then only be given up.
    taken(conn.write(|conn| insert_user(conn, &user(2))));
    insert_user(&mut conn, &user(4)).unwrap();
}

async fn a_session_needs_its_account_and_goes_with_it(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    let refused = insert_session(&mut conn, &session(0, UserId(id(99))));
    assert!(matches!(refused, Err(DbError::Unexpected(_))), "{refused:?}");
    for n in [2, 3] {
        insert_user(&mut conn, &user(n)).unwrap();
        insert_session(&mut conn, &session(n, user(n).id)).unwrap();
    }
    diesel::delete(users::table.find(user(2).id)).execute(&mut conn).unwrap();
    assert_eq!(sessions::table.select(sessions::user_id).load::<UserId>(&mut conn).unwrap(), [user(3).id]);
}

async fn what_may_not_be_missing_is_refused(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    let refused = diesel::insert_into(users::table).values(users::id.eq(UserId(id(1)))).execute(&mut conn);
    let refused = refused.map_err(DbError::from);
    assert!(matches!(refused, Err(DbError::Unexpected(_))), "{refused:?}");
}

async fn a_text_with_nul_is_not_taken_for_an_outage(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    let query = diesel::sql_query("SELECT 1 AS count WHERE 'ada' = $1").bind::<diesel::sql_types::Text, _>("a\0");
    let outcome: DbResult<usize> = query.execute(&mut conn).map_err(DbError::from);
    match deployment.backend {
        Backend::Embedded => assert!(outcome.is_ok(), "{outcome:?}"),
        Backend::Scaled => assert!(matches!(outcome, Err(DbError::Unexpected(_))), "{outcome:?}"),
    }
}

async fn a_transaction_is_done_whole_or_not_at_all(deployment: Arc<Deployment>) {
    let mut conn = migrated(&deployment);
    let undone = conn.write(|conn| {
        insert_user(conn, &user(2))?;
        Err::<(), _>(DbError::Unexpected("on purpose".to_owned()))
    });
    assert!(undone.is_err());
    assert_eq!(deployment.count("users"), 0);
    conn.write(|conn| {
        insert_user(conn, &user(2))?;
        insert_session(conn, &session(0, user(2).id))
    })
    .unwrap();
    assert_eq!((deployment.count("users"), deployment.count("sessions")), (1, 1));
}
