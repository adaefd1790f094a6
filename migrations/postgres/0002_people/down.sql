DROP TABLE leases;
DROP TABLE hourly_counts;
DROP TABLE login_failures;
DROP TABLE trusted_devices;
DROP TABLE mfa_challenges;
DROP TABLE recovery_codes;
DROP TABLE totp_secrets;
DROP TABLE outbox;
DROP TABLE email_changes;
DROP TABLE one_time_tokens;
DROP TABLE audit_log;
ALTER TABLE revocations DROP COLUMN access_jti;
ALTER TABLE sessions DROP COLUMN actor_id, DROP COLUMN location;
DROP INDEX users_lower_name_id_idx;
ALTER TABLE users
    ALTER COLUMN email_normalized TYPE text COLLATE "default",
    ALTER COLUMN name TYPE text COLLATE "default";
ALTER TABLE users DROP COLUMN alerts, DROP COLUMN email_verified_at;
