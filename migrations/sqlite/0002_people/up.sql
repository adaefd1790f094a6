-- Append-only. Ids are UUIDs of version 7 with the time of `at`, so they are in the order of time and a period is a
-- range of ids. There are no foreign keys, because entries are kept when an account is deleted.
CREATE TABLE audit_log (
    id blob NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL,
    user_id blob,
    actor_id blob,
    session_id blob,
    ip text,
    user_agent text,
    request_id text,
    metadata text NOT NULL
);

CREATE INDEX audit_log_user_id_id_idx ON audit_log (user_id, id);
CREATE INDEX audit_log_session_id_user_id_id_idx ON audit_log (session_id, user_id, id);
CREATE INDEX audit_log_event_id_idx ON audit_log (event, id);
CREATE INDEX audit_log_outcome_id_idx ON audit_log (outcome, id);
CREATE INDEX audit_log_actor_id_idx ON audit_log (actor_id) WHERE actor_id IS NOT NULL;

-- Random tokens of all purposes, by their SHA-256 digest. Redeeming a token deletes its row.
CREATE TABLE opaque_tokens (
    digest blob NOT NULL PRIMARY KEY,
    purpose text NOT NULL,
    user_id blob NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id blob,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX opaque_tokens_user_id_idx ON opaque_tokens (user_id);
CREATE INDEX opaque_tokens_expires_at_idx ON opaque_tokens (expires_at);

-- Changes of email address that wait for the confirmation of both addresses.
CREATE TABLE email_changes (
    user_id blob NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email text NOT NULL,
    email_normalized text NOT NULL,
    confirmed_by_old_at bigint,
    confirmed_by_new_at bigint,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

-- Emails that wait for delivery, and those that were given up, which have no next attempt and an empty message. The
-- message is encrypted, because it contains one-time tokens. `expires_at` is the expiry of the link, if the link is the
-- only purpose of the email.
CREATE TABLE outbox (
    id blob NOT NULL PRIMARY KEY,
    kind text NOT NULL,
    recipient text NOT NULL,
    sealed_message blob NOT NULL,
    created_at bigint NOT NULL,
    next_attempt_at bigint,
    expires_at bigint,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);

CREATE INDEX outbox_next_attempt_at_idx ON outbox (next_attempt_at);

-- Emails queued for each recipient, by a MAC. All are available again at `full_at`; a drop was audited at `dropped_at`.
CREATE TABLE email_counts (
    key blob NOT NULL PRIMARY KEY,
    full_at bigint NOT NULL,
    dropped_at bigint
);

CREATE INDEX email_counts_full_at_idx ON email_counts (full_at);

-- One secret per account. It has no effect before it is confirmed.
CREATE TABLE totp_secrets (
    user_id blob NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed_secret blob NOT NULL,
    created_at bigint NOT NULL,
    confirmed_at bigint,
    last_step bigint NOT NULL DEFAULT 0
);

CREATE TABLE recovery_codes (
    user_id blob NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest blob NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (user_id, digest)
);

-- Logins that wait for their second factor, by the digest of their token.
CREATE TABLE mfa_challenges (
    digest blob NOT NULL PRIMARY KEY REFERENCES opaque_tokens (digest) ON DELETE CASCADE,
    attempts integer NOT NULL DEFAULT 0,
    transport text NOT NULL,
    device_name text,
    dpop_jkt blob,
    -- The browser session that the session ends with.
    parent_id blob
);

-- Devices that log in without a second factor, by the digest of their token.
CREATE TABLE trusted_devices (
    id blob NOT NULL PRIMARY KEY,
    digest blob NOT NULL REFERENCES opaque_tokens (digest) ON DELETE CASCADE,
    device text NOT NULL,
    ip text,
    last_used_at bigint NOT NULL,
    CONSTRAINT trusted_devices_digest_key UNIQUE (digest)
);

-- Consecutive failed attempts at passwords and codes, by a MAC of the account and the source of the attempts. Those that
-- are not judged yet are counted in failures and in pending.
CREATE TABLE login_failures (
    source blob NOT NULL PRIMARY KEY,
    failures integer NOT NULL,
    pending integer NOT NULL DEFAULT 0,
    last_failed_at bigint NOT NULL
);

CREATE INDEX login_failures_last_failed_at_idx ON login_failures (last_failed_at);

-- Logins and refreshes by outcome and hour, of all servers together.
CREATE TABLE hourly_counts (
    hour bigint NOT NULL,
    name text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (hour, name)
);

-- Work that only one server does at a time: the holder of each lease, and its expiry unless it is renewed.
CREATE TABLE leases (
    name text NOT NULL PRIMARY KEY,
    holder blob NOT NULL,
    until bigint NOT NULL
);

INSERT INTO leases (name, holder, until) VALUES ('retention', X'', 0);
INSERT INTO leases (name, holder, until) VALUES ('keys', X'', 0);

-- The codes with which the first administrator is created, each from the log of a server.
CREATE TABLE setup_codes (
    digest blob NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);
