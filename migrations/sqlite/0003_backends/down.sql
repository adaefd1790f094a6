DROP TABLE dpop_proofs;
DROP TABLE client_secrets;
DROP TABLE clients;
DELETE FROM leases WHERE name = 'secrets';
DROP TABLE secrets;
