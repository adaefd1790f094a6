DROP TABLE write_probes;
DROP TABLE revocations;
DROP FUNCTION notify_revocations;
DROP TABLE signing_keys;
DROP TABLE sessions;
DROP TABLE users;
