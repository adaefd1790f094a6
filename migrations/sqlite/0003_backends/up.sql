-- Registered clients: resource servers and services. `access_token_ttl` is the lifetime in seconds of its access tokens,
-- or null for that of the server; `secrets_issued` the number of its latest secret. Numbers are never used again.
CREATE TABLE clients (
    id blob NOT NULL PRIMARY KEY,
    name text NOT NULL,
    scopes text NOT NULL,
    audiences text NOT NULL,
    access_token_ttl integer,
    signing_algorithm text,
    secrets_issued integer NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    disabled_at bigint,
    last_used_at bigint
);

-- Up to two for each client, by their SHA-256 digests, so that one can be replaced while the other is in use.
CREATE TABLE client_secrets (
    client_id blob NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    number integer NOT NULL,
    digest blob NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (client_id, number)
);

-- The values of JWT_SECRET that servers were started with, by fingerprints from which they do not follow.
CREATE TABLE secrets (
    fingerprint blob NOT NULL PRIMARY KEY,
    in_force_from bigint NOT NULL,
    replaces boolean NOT NULL,
    resealed_at bigint
);

INSERT INTO leases (name, holder, until) VALUES ('secrets', X'', 0);

-- Proofs of DPoP that were used while servers shared no cache, by digests of their keys and ids.
CREATE TABLE dpop_proofs (
    digest blob NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);

CREATE INDEX dpop_proofs_expires_at_idx ON dpop_proofs (expires_at);
