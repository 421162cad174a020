#!/bin/sh
# Run once by the Postgres image, when its data directory is new: the roles and the database.
# The owner is no superuser. The worker's role sees nothing until the API has migrated.
set -eu
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv owner_password OWNER_PASSWORD
\getenv worker_password WORKER_PASSWORD
CREATE ROLE speech LOGIN CREATEROLE PASSWORD :'owner_password';
-- To end the sessions of a worker whose password is changed.
GRANT pg_signal_backend TO speech;
CREATE ROLE speech_worker NOLOGIN ADMIN speech;
-- Two sessions for each queue of its workers, and some for their start.
CREATE ROLE speech_worker_1 LOGIN CONNECTION LIMIT 64 PASSWORD :'worker_password'
    IN ROLE speech_worker;
CREATE DATABASE speech OWNER speech TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE speech FROM PUBLIC;
GRANT CONNECT ON DATABASE speech TO speech_worker_1;
SQL
