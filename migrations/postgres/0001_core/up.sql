CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    -- Searches by prefix need the order of bytes, for the name too.
    email_normalized text COLLATE "C" NOT NULL,
    name text,
    password_hash text NOT NULL,
    roles jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    password_changed_at timestamptz NOT NULL,
    last_login_at timestamptz,
    disabled_at timestamptz,
    email_verified_at timestamptz,
    alerts boolean NOT NULL DEFAULT true,
    revision bigint NOT NULL DEFAULT 0,
    deletes_at timestamptz,
    name_normalized text COLLATE "C",
    first_verified_at timestamptz,
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

COMMENT ON COLUMN users.revision IS 'changes of what tokens tell of the account so far: email address and its verification, name, roles';
COMMENT ON COLUMN users.deletes_at IS 'when the account is deleted; until then nobody can log in, and the deletion can be cancelled';
COMMENT ON COLUMN users.name_normalized IS 'the name as searches compare it: composed and in lower case';
COMMENT ON COLUMN users.first_verified_at IS 'when an email address of the account was first verified; stays when the address is no longer';
COMMENT ON COLUMN users.language IS 'the language of pages and emails, as a tag of BCP 47, if one was chosen';
COMMENT ON COLUMN users.alerts IS 'whether the owner wants emails about unusual logins; some alerts are always sent';

-- Each row is one login on one device. A refresh updates the row and inserts none. No column that a refresh changes is
-- indexed, and half of each page is kept free, so that the new version of a row is stored on the same page (HOT) and
-- the old one is pruned without a vacuum.
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
    access_expires_at timestamptz NOT NULL,
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
    location jsonb,
    actor_id uuid,
    parent_id uuid,
    account_revision bigint NOT NULL DEFAULT 0,
    valid_from_revision bigint NOT NULL DEFAULT 0,
    rotation_key bytea,
    former_rotation_key bytea,
    doubted_generation bigint,
    doubted_at timestamptz,
    dpop_jkt bytea,
    kind text NOT NULL DEFAULT 'app',
    cookie_digest bytea
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX sessions_user_id_created_at_idx ON sessions (user_id, created_at);
CREATE INDEX sessions_actor_id_idx ON sessions (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX sessions_parent_id_idx ON sessions (parent_id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX sessions_cookie_digest_idx ON sessions (cookie_digest) WHERE cookie_digest IS NOT NULL;

COMMENT ON COLUMN sessions.expires_at IS 'end of the refresh token: one REFRESH_TOKEN_TTL after the last rotation';
COMMENT ON COLUMN sessions.ends_at IS 'end of the session, however often it is refreshed';
COMMENT ON COLUMN sessions.generation IS 'number of rotations so far; the refresh token of this generation is current';
COMMENT ON COLUMN sessions.revision IS 'number of changes of the cached columns; only grows';
COMMENT ON COLUMN sessions.token_digest IS 'SHA-256 of the current refresh token, or of the cookie of a browser session';
COMMENT ON COLUMN sessions.parent_digest IS 'SHA-256 of the previous refresh token';
COMMENT ON COLUMN sessions.rotation_salt IS 'salt that derives the current refresh token from the previous one';
COMMENT ON COLUMN sessions.access_expires_at IS 'time at which every access token issued so far has expired; never lowered';
COMMENT ON COLUMN sessions.issued_at IS 'time of issue of the current access token, by a rotation or a recovery';
COMMENT ON COLUMN sessions.access_seen IS 'whether an access token of this generation was used';
COMMENT ON COLUMN sessions.recovered IS 'whether this generation was issued again after the replay window';
COMMENT ON COLUMN sessions.recovery_debt IS 'plus the cost of each recovery, minus one for each rotation';
COMMENT ON COLUMN sessions.valid_from_revision IS 'access tokens that were issued at an earlier revision are revoked';
COMMENT ON COLUMN sessions.rotation_key IS 'digest of the Idempotency-Key of the last rotation';
COMMENT ON COLUMN sessions.former_rotation_key IS 'digest of the Idempotency-Key of the rotation before';
COMMENT ON COLUMN sessions.doubted_generation IS 'the replaced refresh token that may have been an echo; the next time is reuse';
COMMENT ON COLUMN sessions.doubted_at IS 'arrival of the request that presented it';
COMMENT ON COLUMN sessions.dpop_jkt IS 'the thumbprint (RFC 7638) of the key that its tokens are bound to (RFC 9449)';
COMMENT ON COLUMN sessions.cookie_digest IS 'SHA-256 of the cookie of a browser session; no column that a rotation writes has an index';
COMMENT ON COLUMN sessions.kind IS 'app: has tokens; browser: has a cookie for this server''s pages';

CREATE TABLE signing_keys (
    id uuid PRIMARY KEY,
    key_use text NOT NULL,
    algorithm text NOT NULL,
    public_key bytea NOT NULL,
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    active_from timestamptz NOT NULL,
    retired_at timestamptz,
    remove_after timestamptz,
    revoked_at timestamptz,
    token_ttl bigint NOT NULL,
    wanted_until timestamptz NOT NULL
);

-- Of the keys of one use and algorithm, one has no planned end.
CREATE UNIQUE INDEX signing_keys_open_key ON signing_keys (key_use, algorithm)
    WHERE retired_at IS NULL AND revoked_at IS NULL;

COMMENT ON COLUMN signing_keys.active_from IS 'when the key begins to sign; it is published from created_at on';
COMMENT ON COLUMN signing_keys.retired_at IS 'when the key ceases to sign, perhaps in the future';
COMMENT ON COLUMN signing_keys.remove_after IS 'when its last token has expired, and it is published no more';
COMMENT ON COLUMN signing_keys.token_ttl IS 'longest ACCESS_TOKEN_TTL of the servers, in seconds; never lowered';
COMMENT ON COLUMN signing_keys.wanted_until IS 'some server signs with this algorithm until then, and announces it again before';

-- The revocation log. A reader misses no commit if it reads every `txid` that the snapshot of its last read did not
-- have. A row is kept until the access tokens that it concerns have expired.
CREATE TABLE revocations (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    session_id uuid,
    user_id uuid,
    reason text NOT NULL,
    revoked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    before_revision bigint,
    jti uuid,
    key_id uuid,
    client_id uuid,
    CHECK (num_nonnulls(coalesce(session_id, jti), key_id, client_id) = 1),
    CHECK (before_revision IS NULL OR session_id IS NOT NULL)
);

CREATE INDEX revocations_txid_idx ON revocations (txid);
CREATE INDEX revocations_expires_at_idx ON revocations (expires_at);

-- Wakes the servers, which read the log then instead of at their next turn.
CREATE FUNCTION notify_revocations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('keyturn_revocations', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER revocations_notify AFTER INSERT ON revocations
    FOR EACH STATEMENT EXECUTE FUNCTION notify_revocations();

COMMENT ON COLUMN sessions.account_revision IS 'users.revision when the session last took over what it tells of the account';
COMMENT ON COLUMN sessions.actor_id IS 'the administrator who acts for the user in this session (RFC 8693 act)';
COMMENT ON COLUMN sessions.parent_id IS 'the session in which the administrator began to act, with which this one ends';
COMMENT ON COLUMN revocations.before_revision IS 'the access tokens of earlier revisions of the session are revoked, not the session';
COMMENT ON COLUMN revocations.jti IS 'this access token of the session is revoked, not the session; with before_revision the latest of those';
COMMENT ON COLUMN revocations.key_id IS 'all access tokens of the signing key are revoked, whatever their sessions';

-- Whether the database can be written is found out by writing here.
CREATE TABLE write_probes (
    slot integer PRIMARY KEY,
    payload bytea NOT NULL
) WITH (fillfactor = 50);
