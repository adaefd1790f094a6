-- Append-only. Ids are UUIDs of version 7 with the time of `at`, so they are in the order of time and a period is a
-- range of ids. There are no foreign keys, because entries are kept when an account is deleted.
CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL,
    user_id uuid,
    actor_id uuid,
    session_id uuid,
    ip inet,
    user_agent text,
    request_id text,
    metadata jsonb NOT NULL
);

CREATE INDEX audit_log_user_id_id_idx ON audit_log (user_id, id);
CREATE INDEX audit_log_session_id_user_id_id_idx ON audit_log (session_id, user_id, id);
CREATE INDEX audit_log_event_id_idx ON audit_log (event, id);
CREATE INDEX audit_log_outcome_id_idx ON audit_log (outcome, id);
CREATE INDEX audit_log_actor_id_idx ON audit_log (actor_id) WHERE actor_id IS NOT NULL;

COMMENT ON COLUMN audit_log.user_id IS 'the account that the event concerns';
COMMENT ON COLUMN audit_log.actor_id IS 'the account that acted, if it is another one';

-- Random tokens of all purposes. Only their digests are stored. Redeeming a token deletes its row.
CREATE TABLE opaque_tokens (
    digest bytea PRIMARY KEY,
    purpose text NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX opaque_tokens_user_id_idx ON opaque_tokens (user_id);
CREATE INDEX opaque_tokens_expires_at_idx ON opaque_tokens (expires_at);

COMMENT ON COLUMN opaque_tokens.digest IS 'SHA-256 of the token';
COMMENT ON COLUMN opaque_tokens.session_id IS 'the session that the token concerns, if there is one';

-- Changes of email address that wait for the confirmation of both addresses.
CREATE TABLE email_changes (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email text NOT NULL,
    email_normalized text NOT NULL,
    confirmed_by_old_at timestamptz,
    confirmed_by_new_at timestamptz,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Emails that wait for delivery, and those that were given up. The message is encrypted, because it contains one-time
-- tokens.
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    recipient text NOT NULL,
    sealed_message bytea NOT NULL,
    created_at timestamptz NOT NULL,
    next_attempt_at timestamptz,
    expires_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);

CREATE INDEX outbox_next_attempt_at_idx ON outbox (next_attempt_at);

-- Emails queued for each recipient, by a MAC. All are available again at `full_at`; a drop was audited at `dropped_at`.
CREATE TABLE email_counts (
    key bytea PRIMARY KEY,
    full_at timestamptz NOT NULL,
    dropped_at timestamptz
);

CREATE INDEX email_counts_full_at_idx ON email_counts (full_at);

COMMENT ON COLUMN outbox.next_attempt_at IS 'null if the email was given up; then its message is empty';
COMMENT ON COLUMN outbox.expires_at IS 'expiry of the link, if the link is the only purpose of the email';

-- One secret per account. It has no effect before it is confirmed.
CREATE TABLE totp_secrets (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);

COMMENT ON COLUMN totp_secrets.last_step IS 'time step (RFC 6238) of the last accepted code; a code must be of a later one';

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, digest)
);

-- Logins that wait for their second factor, by the digest of their token.
CREATE TABLE mfa_challenges (
    digest bytea PRIMARY KEY REFERENCES opaque_tokens (digest) ON DELETE CASCADE,
    attempts integer NOT NULL DEFAULT 0,
    transport text NOT NULL,
    device_name text,
    dpop_jkt bytea,
    -- The browser session that the session ends with.
    parent_id uuid
);

-- Devices that log in without a second factor, by the digest of their token.
CREATE TABLE trusted_devices (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL REFERENCES opaque_tokens (digest) ON DELETE CASCADE,
    device jsonb NOT NULL,
    ip inet,
    last_used_at timestamptz NOT NULL,
    CONSTRAINT trusted_devices_digest_key UNIQUE (digest)
);

-- Consecutive failed attempts at passwords and codes, by a MAC of the account and the source of the attempts. Those that
-- are not judged yet are counted in failures and in pending.
CREATE TABLE login_failures (
    source bytea PRIMARY KEY,
    failures integer NOT NULL,
    pending integer NOT NULL DEFAULT 0,
    last_failed_at timestamptz NOT NULL
);

CREATE INDEX login_failures_last_failed_at_idx ON login_failures (last_failed_at);

-- Logins and refreshes by outcome and hour, of all servers together.
CREATE TABLE hourly_counts (
    hour timestamptz NOT NULL,
    name text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (hour, name)
);

-- Work that only one server does at a time: the holder of each lease, and its expiry unless it is renewed.
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder bytea NOT NULL,
    until timestamptz NOT NULL
);

INSERT INTO leases (name, holder, until) VALUES ('retention', '', '1970-01-01T00:00:00Z');
INSERT INTO leases (name, holder, until) VALUES ('keys', '', '1970-01-01T00:00:00Z');

-- The codes with which the first administrator is created, each from the log of a server.
CREATE TABLE setup_codes (
    digest bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

COMMENT ON TABLE setup_codes IS 'codes with which the first administrator is created, by their SHA-256; none is left once there is one';
