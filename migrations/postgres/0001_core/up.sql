CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    email_normalized text NOT NULL,
    name text,
    password_hash text NOT NULL,
    roles jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    password_changed_at timestamptz NOT NULL,
    last_login_at timestamptz,
    disabled_at timestamptz,
    CONSTRAINT users_email_normalized_key UNIQUE (email_normalized)
);

-- One login on one device, for its whole life. A refresh updates this row and adds none. No column that a refresh
-- changes is indexed, and half of each page is kept free, so that the new version lands on the same page (HOT) and
-- the old one is pruned in passing.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    authenticated_at timestamptz NOT NULL,
    last_active_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    generation bigint NOT NULL,
    revision bigint NOT NULL,
    token_digest bytea NOT NULL,
    parent_digest bytea,
    rotation_salt bytea,
    issued_at timestamptz NOT NULL,
    access_jti uuid NOT NULL,
    former_jti uuid,
    access_seen boolean NOT NULL DEFAULT false,
    recovered boolean NOT NULL DEFAULT false,
    recovery_debt integer NOT NULL DEFAULT 0,
    recoveries integer NOT NULL DEFAULT 0,
    replays integer NOT NULL DEFAULT 0,
    revoked_at timestamptz,
    revoked_reason text,
    revoked_by uuid,
    ip inet,
    user_agent text,
    device jsonb NOT NULL,
    name text,
    amr jsonb NOT NULL,
    client_id text NOT NULL,
    metadata jsonb NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX sessions_user_id_created_at_idx ON sessions (user_id, created_at);

COMMENT ON COLUMN sessions.expires_at IS 'end of the refresh token: one REFRESH_TOKEN_TTL after the last rotation';
COMMENT ON COLUMN sessions.ends_at IS 'end of the session, however often it is refreshed';
COMMENT ON COLUMN sessions.generation IS 'rotations so far; the refresh token of this generation is current';
COMMENT ON COLUMN sessions.revision IS 'changes to what a cache holds of this row; never goes back';
COMMENT ON COLUMN sessions.token_digest IS 'SHA-256 of the current refresh token';
COMMENT ON COLUMN sessions.parent_digest IS 'SHA-256 of the refresh token before it';
COMMENT ON COLUMN sessions.rotation_salt IS 'with the parent token, derives the current one';
COMMENT ON COLUMN sessions.issued_at IS 'when the current access token was issued, by a rotation or a recovery';
COMMENT ON COLUMN sessions.access_seen IS 'whether an access token of this generation was presented to a server';
COMMENT ON COLUMN sessions.recovered IS 'whether this generation was handed out again after the replay window';
COMMENT ON COLUMN sessions.recovery_debt IS 'eight per recovery, less one per rotation since';

CREATE TABLE signing_keys (
    id uuid PRIMARY KEY,
    algorithm text NOT NULL,
    public_key bytea NOT NULL,
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);

-- The log of revocations, in the order of commits for a reader that asks for `txid` at or after the oldest
-- transaction that was running when it last looked. A row lives as long as the access tokens it concerns.
CREATE TABLE revocations (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    reason text NOT NULL,
    revoked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX revocations_txid_idx ON revocations (txid);
CREATE INDEX revocations_expires_at_idx ON revocations (expires_at);
