ALTER TABLE users ADD COLUMN email_verified_at bigint;
ALTER TABLE users ADD COLUMN alerts boolean NOT NULL DEFAULT 1;

CREATE INDEX users_lower_name_id_idx ON users (lower(name), id);

ALTER TABLE sessions ADD COLUMN location text;
ALTER TABLE sessions ADD COLUMN actor_id blob;

CREATE INDEX sessions_actor_id_idx ON sessions (actor_id) WHERE actor_id IS NOT NULL;

ALTER TABLE revocations ADD COLUMN access_jti blob;

-- Append-only. Ids are UUIDs of version 7 made of `at`, so their order is that of time and a period is a range of ids.
-- No foreign keys: what happened stays true when an account is gone.
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

CREATE TABLE one_time_tokens (
    digest blob NOT NULL PRIMARY KEY,
    user_id blob NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose text NOT NULL,
    session_id blob,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX one_time_tokens_user_id_idx ON one_time_tokens (user_id);
CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens (expires_at);

-- A change of address that waits for a confirmation from each of the two.
CREATE TABLE email_changes (
    user_id blob NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email text NOT NULL,
    email_normalized text NOT NULL,
    confirmed_by_old_at bigint,
    confirmed_by_new_at bigint,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

-- Mails on their way, and those that were given up: without a next attempt, and with an empty message. The message is
-- sealed, because it holds one-time tokens. With `expires_at`, the mail is worth nothing after that.
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

-- One secret for each account; not in force before it is confirmed.
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

-- A login that waits for its second factor.
CREATE TABLE mfa_challenges (
    digest blob NOT NULL PRIMARY KEY,
    user_id blob NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tries integer NOT NULL DEFAULT 0,
    transport text NOT NULL,
    device_name text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE INDEX mfa_challenges_expires_at_idx ON mfa_challenges (expires_at);

CREATE TABLE trusted_devices (
    id blob NOT NULL PRIMARY KEY,
    user_id blob NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest blob NOT NULL,
    device text NOT NULL,
    location text,
    ip text,
    created_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT trusted_devices_digest_key UNIQUE (digest)
);

CREATE INDEX trusted_devices_user_id_idx ON trusted_devices (user_id);
CREATE INDEX trusted_devices_expires_at_idx ON trusted_devices (expires_at);

-- Logins that failed in a row, by a MAC of the account's address and where they came from.
CREATE TABLE login_failures (
    source blob NOT NULL PRIMARY KEY,
    failures integer NOT NULL,
    last_failed_at bigint NOT NULL
);

CREATE INDEX login_failures_last_failed_at_idx ON login_failures (last_failed_at);

-- What happened how often, hour by hour, on all servers together.
CREATE TABLE hourly_counts (
    hour bigint NOT NULL,
    name text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (hour, name)
);

-- What one server at a time does for all: who holds it, and until when unless it is prolonged.
CREATE TABLE leases (
    name text NOT NULL PRIMARY KEY,
    holder blob NOT NULL,
    until bigint NOT NULL
);

INSERT INTO leases (name, holder, until) VALUES ('sweep', X'', 0);
