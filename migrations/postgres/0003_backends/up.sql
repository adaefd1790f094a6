-- Registered clients: resource servers and services.
CREATE TABLE clients (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    scopes jsonb NOT NULL,
    audiences jsonb NOT NULL,
    access_token_ttl integer,
    signing_algorithm text,
    secrets_issued integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    last_used_at timestamptz
);

COMMENT ON COLUMN clients.access_token_ttl IS 'lifetime in seconds of its access tokens; null for that of the server';
COMMENT ON COLUMN clients.signing_algorithm IS 'algorithm of its access tokens; null for that of the server';
COMMENT ON COLUMN clients.secrets_issued IS 'the number of its latest secret; numbers are never used again';

-- Up to two for each client, so that one can be replaced while the other is in use.
CREATE TABLE client_secrets (
    client_id uuid NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    number integer NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, number)
);

COMMENT ON COLUMN client_secrets.digest IS 'SHA-256 of the secret';

-- The values of JWT_SECRET that servers were started with, by fingerprints from which they do not follow.
CREATE TABLE secrets (
    fingerprint bytea PRIMARY KEY,
    in_force_from timestamptz NOT NULL,
    replaces boolean NOT NULL,
    resealed_at timestamptz
);

COMMENT ON COLUMN secrets.in_force_from IS 'from when on tokens, seals and counters are made with it';
COMMENT ON COLUMN secrets.replaces IS 'whether it came with JWT_SECRET_PREVIOUS, which it replaces';
COMMENT ON COLUMN secrets.resealed_at IS 'when nothing was sealed under the one that it replaces any more';

INSERT INTO leases (name, holder, until) VALUES ('secrets', '', '1970-01-01T00:00:00Z');

-- Proofs of DPoP that were used while servers shared no cache, by digests of their keys and ids.
CREATE TABLE dpop_proofs (
    digest bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE INDEX dpop_proofs_expires_at_idx ON dpop_proofs (expires_at);
