-- Times are milliseconds since 1970 in UTC, ids are the 16 bytes of a UUID, documents are JSON text.
CREATE TABLE users (
    id blob NOT NULL PRIMARY KEY,
    email text NOT NULL,
    email_normalized text NOT NULL,
    name text,
    password_hash text NOT NULL,
    roles text NOT NULL,
    created_at bigint NOT NULL,
    password_changed_at bigint NOT NULL,
    last_login_at bigint,
    disabled_at bigint,
    email_verified_at bigint,
    alerts boolean NOT NULL DEFAULT 1,
    revision bigint NOT NULL DEFAULT 0,
    deletes_at bigint,
    name_normalized text,
    first_verified_at bigint,
    language text,
    CONSTRAINT users_email_normalized_key UNIQUE (email_normalized)
);

CREATE INDEX users_name_normalized_id_idx ON users (name_normalized, id);
CREATE INDEX users_deletes_at_idx ON users (deletes_at) WHERE deletes_at IS NOT NULL;
-- Filters of lists, newest first. What most accounts have is not indexed.
CREATE INDEX users_other_roles_idx ON users (id) WHERE roles <> '["user"]';
CREATE INDEX users_disabled_idx ON users (id) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_deletion_pending_idx ON users (id) WHERE deletes_at IS NOT NULL;
CREATE INDEX users_unverified_idx ON users (id) WHERE email_verified_at IS NULL;
CREATE INDEX users_without_password_idx ON users (id) WHERE password_hash = '!';

CREATE TABLE sessions (
    id blob NOT NULL PRIMARY KEY,
    user_id blob NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    authenticated_at bigint NOT NULL,
    last_active_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    generation bigint NOT NULL,
    revision bigint NOT NULL,
    token_digest blob NOT NULL,
    parent_digest blob,
    rotation_salt blob,
    issued_at bigint NOT NULL,
    access_expires_at bigint NOT NULL,
    access_jti blob NOT NULL,
    former_jti blob,
    access_seen boolean NOT NULL DEFAULT 0,
    recovered boolean NOT NULL DEFAULT 0,
    recovery_debt integer NOT NULL DEFAULT 0,
    recoveries integer NOT NULL DEFAULT 0,
    replays integer NOT NULL DEFAULT 0,
    revoked_at bigint,
    revoked_reason text,
    revoked_by blob,
    ip text,
    user_agent text,
    device text NOT NULL,
    name text,
    amr text NOT NULL,
    client_id text NOT NULL,
    location text,
    actor_id blob,
    parent_id blob,
    account_revision bigint NOT NULL DEFAULT 0,
    valid_from_revision bigint NOT NULL DEFAULT 0,
    rotation_key blob,
    former_rotation_key blob,
    doubted_generation bigint,
    doubted_at bigint,
    dpop_jkt blob,
    kind text NOT NULL DEFAULT 'app',
    cookie_digest blob
);

CREATE INDEX sessions_user_id_created_at_idx ON sessions (user_id, created_at);
CREATE INDEX sessions_actor_id_idx ON sessions (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX sessions_parent_id_idx ON sessions (parent_id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX sessions_cookie_digest_idx ON sessions (cookie_digest) WHERE cookie_digest IS NOT NULL;

CREATE TABLE signing_keys (
    id blob NOT NULL PRIMARY KEY,
    key_use text NOT NULL,
    algorithm text NOT NULL,
    public_key blob NOT NULL,
    sealed_private_key blob NOT NULL,
    created_at bigint NOT NULL,
    active_from bigint NOT NULL,
    retired_at bigint,
    remove_after bigint,
    revoked_at bigint,
    token_ttl bigint NOT NULL,
    wanted_until bigint NOT NULL
);

-- Of the keys of one use and algorithm, one has no planned end.
CREATE UNIQUE INDEX signing_keys_open_key ON signing_keys (key_use, algorithm)
    WHERE retired_at IS NULL AND revoked_at IS NULL;

-- SQLite has one writer at a time, so `seq` is the order of commits. `txid` is used on Postgres only.
CREATE TABLE revocations (
    seq integer PRIMARY KEY AUTOINCREMENT NOT NULL,
    txid bigint NOT NULL DEFAULT 0,
    session_id blob,
    user_id blob,
    reason text NOT NULL,
    revoked_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    before_revision bigint,
    jti blob,
    key_id blob,
    client_id blob,
    CHECK ((session_id IS NOT NULL OR jti IS NOT NULL) + (key_id IS NOT NULL) + (client_id IS NOT NULL) = 1),
    CHECK (before_revision IS NULL OR session_id IS NOT NULL)
);

CREATE INDEX revocations_txid_idx ON revocations (txid);
CREATE INDEX revocations_expires_at_idx ON revocations (expires_at);

-- Whether the database can be written is found out by writing here.
CREATE TABLE write_probes (
    slot integer PRIMARY KEY NOT NULL,
    payload blob NOT NULL
);
