ALTER TABLE users
    ADD COLUMN email_verified_at timestamptz,
    ADD COLUMN alerts boolean NOT NULL DEFAULT true;

COMMENT ON COLUMN users.alerts IS 'whether mails tell of logins from new devices and places; some alerts are always sent';

-- Texts are searched by their beginning, which is a range in the order of their bytes.
ALTER TABLE users
    ALTER COLUMN email_normalized TYPE text COLLATE "C",
    ALTER COLUMN name TYPE text COLLATE "C";

CREATE INDEX users_lower_name_id_idx ON users (lower(name), id);

ALTER TABLE sessions
    ADD COLUMN location jsonb,
    ADD COLUMN actor_id uuid;

COMMENT ON COLUMN sessions.actor_id IS 'the operator who acts for the user in this session (RFC 8693 act)';

CREATE INDEX sessions_actor_id_idx ON sessions (actor_id) WHERE actor_id IS NOT NULL;

ALTER TABLE revocations ADD COLUMN access_jti uuid;

COMMENT ON COLUMN revocations.access_jti IS 'where given, the one access token that ends; its session goes on';

-- Append-only. Ids are UUIDs of version 7 made of `at`, so their order is that of time and a period is a range of ids.
-- No foreign keys: what happened stays true when an account is gone.
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

COMMENT ON COLUMN audit_log.user_id IS 'whom it concerns';
COMMENT ON COLUMN audit_log.actor_id IS 'who did it, where that is somebody else';

CREATE TABLE one_time_tokens (
    digest bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose text NOT NULL,
    session_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX one_time_tokens_user_id_idx ON one_time_tokens (user_id);
CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens (expires_at);

COMMENT ON COLUMN one_time_tokens.digest IS 'SHA-256 of the token, which is only in the mail; using it deletes the row';

-- A change of address that waits for a confirmation from each of the two.
CREATE TABLE email_changes (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    email text NOT NULL,
    email_normalized text NOT NULL,
    confirmed_by_old_at timestamptz,
    confirmed_by_new_at timestamptz,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Mails on their way, and those that were given up. The message is sealed, because it holds one-time tokens.
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

COMMENT ON COLUMN outbox.next_attempt_at IS 'null when the mail was given up; its message is empty then';
COMMENT ON COLUMN outbox.expires_at IS 'when its link stops to work, where the mail is for nothing else';

-- One secret for each account; not in force before it is confirmed.
CREATE TABLE totp_secrets (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);

COMMENT ON COLUMN totp_secrets.last_step IS 'time step (RFC 6238) of the last code that was accepted; only later ones are';

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, digest)
);

-- A login that waits for its second factor.
CREATE TABLE mfa_challenges (
    digest bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tries integer NOT NULL DEFAULT 0,
    transport text NOT NULL,
    device_name text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX mfa_challenges_expires_at_idx ON mfa_challenges (expires_at);

CREATE TABLE trusted_devices (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    device jsonb NOT NULL,
    location jsonb,
    ip inet,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT trusted_devices_digest_key UNIQUE (digest)
);

CREATE INDEX trusted_devices_user_id_idx ON trusted_devices (user_id);
CREATE INDEX trusted_devices_expires_at_idx ON trusted_devices (expires_at);

-- Logins that failed in a row, by a MAC of the account's address and where they came from.
CREATE TABLE login_failures (
    source bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_failed_at timestamptz NOT NULL
);

CREATE INDEX login_failures_last_failed_at_idx ON login_failures (last_failed_at);

-- What happened how often, hour by hour, on all servers together.
CREATE TABLE hourly_counts (
    hour timestamptz NOT NULL,
    name text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (hour, name)
);

-- What one server at a time does for all: who holds it, and until when unless it is prolonged.
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder bytea NOT NULL,
    until timestamptz NOT NULL
);

INSERT INTO leases (name, holder, until) VALUES ('sweep', '', '1970-01-01T00:00:00Z');
