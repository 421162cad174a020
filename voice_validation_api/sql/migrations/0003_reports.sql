-- What validators report, and the operator's list of miners.

CREATE TABLE telemetry_reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid integer,
    hotkey text CHECK (length(hotkey) <= 64),
    coldkey text CHECK (length(coldkey) <= 64),
    git_commit text CHECK (length(git_commit) <= 64),
    bittensor_version text CHECK (length(bittensor_version) <= 64),
    signed boolean NOT NULL,
    payload jsonb NOT NULL CHECK (pg_column_size(payload) <= 131072),
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE event_reports (LIKE telemetry_reports INCLUDING ALL);

CREATE TABLE minerboard (
    competition_id text NOT NULL CHECK (length(competition_id) BETWEEN 1 AND 64),
    uid integer NOT NULL CHECK (uid >= 0),
    hotkey text NOT NULL CHECK (length(hotkey) BETWEEN 1 AND 64),
    submission_hash text CHECK (submission_hash ~ '^[0-9]{1,20}$'),
    block bigint CHECK (block >= 0),
    details jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (competition_id, uid)
);
