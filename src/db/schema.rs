//! The tables as both engines have them. `migrations/` creates them; a test selects every column on each engine.

use super::types::{SqlAddress, SqlJson, SqlTime, SqlUuid};

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlJson, SqlTime, SqlUuid};

    users (id) {
        id -> SqlUuid,
        email -> Text,
        email_normalized -> Text,
        name -> Nullable<Text>,
        password_hash -> Text,
        roles -> SqlJson,
        created_at -> SqlTime,
        password_changed_at -> SqlTime,
        last_login_at -> Nullable<SqlTime>,
        disabled_at -> Nullable<SqlTime>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlAddress, SqlJson, SqlTime, SqlUuid};

    sessions (id) {
        id -> SqlUuid,
        user_id -> SqlUuid,
        created_at -> SqlTime,
        authenticated_at -> SqlTime,
        last_active_at -> SqlTime,
        expires_at -> SqlTime,
        ends_at -> SqlTime,
        generation -> BigInt,
        revision -> BigInt,
        token_digest -> Binary,
        parent_digest -> Nullable<Binary>,
        rotation_salt -> Nullable<Binary>,
        issued_at -> SqlTime,
        access_jti -> SqlUuid,
        former_jti -> Nullable<SqlUuid>,
        access_seen -> Bool,
        recovered -> Bool,
        recovery_debt -> Integer,
        recoveries -> Integer,
        replays -> Integer,
        revoked_at -> Nullable<SqlTime>,
        revoked_reason -> Nullable<Text>,
        revoked_by -> Nullable<SqlUuid>,
        ip -> Nullable<SqlAddress>,
        user_agent -> Nullable<Text>,
        device -> SqlJson,
        name -> Nullable<Text>,
        amr -> SqlJson,
        client_id -> Text,
        metadata -> SqlJson,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    signing_keys (id) {
        id -> SqlUuid,
        algorithm -> Text,
        public_key -> Binary,
        sealed_private_key -> Binary,
        created_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    revocations (seq) {
        seq -> BigInt,
        txid -> BigInt,
        session_id -> SqlUuid,
        user_id -> SqlUuid,
        reason -> Text,
        revoked_at -> SqlTime,
        expires_at -> SqlTime,
    }
}

diesel::joinable!(sessions -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(users, sessions);
