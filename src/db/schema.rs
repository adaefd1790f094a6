//! The tables on both engines. The migrations create them, and a test selects every column on each engine.

#![expect(missing_docs, reason = "the migrations describe the columns")]

use super::types::{SqlInet, SqlJson, SqlTime, SqlUuid};

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
        email_verified_at -> Nullable<SqlTime>,
        alerts -> Bool,
        revision -> BigInt,
        deletes_at -> Nullable<SqlTime>,
        name_normalized -> Nullable<Text>,
        first_verified_at -> Nullable<SqlTime>,
        language -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    setup_codes (digest) {
        digest -> Binary,
        expires_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlInet, SqlJson, SqlTime, SqlUuid};

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
        access_expires_at -> SqlTime,
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
        ip -> Nullable<SqlInet>,
        user_agent -> Nullable<Text>,
        device -> SqlJson,
        name -> Nullable<Text>,
        amr -> SqlJson,
        client_id -> Text,
        location -> Nullable<SqlJson>,
        actor_id -> Nullable<SqlUuid>,
        parent_id -> Nullable<SqlUuid>,
        account_revision -> BigInt,
        valid_from_revision -> BigInt,
        rotation_key -> Nullable<Binary>,
        former_rotation_key -> Nullable<Binary>,
        doubted_generation -> Nullable<BigInt>,
        doubted_at -> Nullable<SqlTime>,
        dpop_jkt -> Nullable<Binary>,
        kind -> Text,
        cookie_digest -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    signing_keys (id) {
        id -> SqlUuid,
        key_use -> Text,
        algorithm -> Text,
        public_key -> Binary,
        sealed_private_key -> Binary,
        created_at -> SqlTime,
        active_from -> SqlTime,
        retired_at -> Nullable<SqlTime>,
        remove_after -> Nullable<SqlTime>,
        revoked_at -> Nullable<SqlTime>,
        token_ttl -> BigInt,
        wanted_until -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    revocations (seq) {
        seq -> BigInt,
        txid -> BigInt,
        session_id -> Nullable<SqlUuid>,
        user_id -> Nullable<SqlUuid>,
        reason -> Text,
        revoked_at -> SqlTime,
        expires_at -> SqlTime,
        before_revision -> Nullable<BigInt>,
        jti -> Nullable<SqlUuid>,
        key_id -> Nullable<SqlUuid>,
        client_id -> Nullable<SqlUuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlInet, SqlJson, SqlTime, SqlUuid};

    audit_log (id) {
        id -> SqlUuid,
        at -> SqlTime,
        event -> Text,
        outcome -> Text,
        user_id -> Nullable<SqlUuid>,
        actor_id -> Nullable<SqlUuid>,
        session_id -> Nullable<SqlUuid>,
        ip -> Nullable<SqlInet>,
        user_agent -> Nullable<Text>,
        request_id -> Nullable<Text>,
        metadata -> SqlJson,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    opaque_tokens (digest) {
        digest -> Binary,
        purpose -> Text,
        user_id -> SqlUuid,
        session_id -> Nullable<SqlUuid>,
        created_at -> SqlTime,
        expires_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    email_changes (user_id) {
        user_id -> SqlUuid,
        email -> Text,
        email_normalized -> Text,
        confirmed_by_old_at -> Nullable<SqlTime>,
        confirmed_by_new_at -> Nullable<SqlTime>,
        created_at -> SqlTime,
        expires_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    outbox (id) {
        id -> SqlUuid,
        kind -> Text,
        recipient -> Text,
        sealed_message -> Binary,
        created_at -> SqlTime,
        next_attempt_at -> Nullable<SqlTime>,
        expires_at -> Nullable<SqlTime>,
        attempts -> Integer,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    totp_secrets (user_id) {
        user_id -> SqlUuid,
        sealed_secret -> Binary,
        created_at -> SqlTime,
        confirmed_at -> Nullable<SqlTime>,
        last_step -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    recovery_codes (user_id, digest) {
        user_id -> SqlUuid,
        digest -> Binary,
        created_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    use crate::db::types::*;

    mfa_challenges (digest) {
        digest -> Binary,
        attempts -> Integer,
        transport -> Text,
        device_name -> Nullable<Text>,
        dpop_jkt -> Nullable<Binary>,
        parent_id -> Nullable<SqlUuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlInet, SqlJson, SqlTime, SqlUuid};

    trusted_devices (id) {
        id -> SqlUuid,
        digest -> Binary,
        device -> SqlJson,
        ip -> Nullable<SqlInet>,
        last_used_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    login_failures (source) {
        source -> Binary,
        failures -> Integer,
        pending -> Integer,
        last_failed_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    email_counts (key) {
        key -> Binary,
        full_at -> SqlTime,
        dropped_at -> Nullable<SqlTime>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    hourly_counts (hour, name) {
        hour -> SqlTime,
        name -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    leases (name) {
        name -> Text,
        holder -> Binary,
        until -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    secrets (fingerprint) {
        fingerprint -> Binary,
        in_force_from -> SqlTime,
        replaces -> Bool,
        resealed_at -> Nullable<SqlTime>,
    }
}

diesel::table! {
    write_probes (slot) {
        slot -> Integer,
        payload -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlJson, SqlTime, SqlUuid};

    clients (id) {
        id -> SqlUuid,
        name -> Text,
        scopes -> SqlJson,
        audiences -> SqlJson,
        access_token_ttl -> Nullable<Integer>,
        signing_algorithm -> Nullable<Text>,
        secrets_issued -> Integer,
        created_at -> SqlTime,
        disabled_at -> Nullable<SqlTime>,
        last_used_at -> Nullable<SqlTime>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::{SqlTime, SqlUuid};

    client_secrets (client_id, number) {
        client_id -> SqlUuid,
        number -> Integer,
        digest -> Binary,
        created_at -> SqlTime,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::SqlTime;

    dpop_proofs (digest) {
        digest -> Binary,
        expires_at -> SqlTime,
    }
}

diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(trusted_devices -> opaque_tokens (digest));
diesel::allow_tables_to_appear_in_same_query!(users, sessions);
diesel::allow_tables_to_appear_in_same_query!(trusted_devices, opaque_tokens);
