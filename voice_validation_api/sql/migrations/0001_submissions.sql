-- The submissions, which are the queue too. status.py explains the states.

CREATE TYPE submission_status AS ENUM ('QUEUED', 'PRECHECK', 'RUNNING', 'COMPLETED', 'FAILED');

-- In queue order: the claim sorts by it.
CREATE TYPE submission_priority AS ENUM ('NORMAL', 'RETRY', 'PARKED');

CREATE TABLE submissions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    competition_id text NOT NULL CHECK (length(competition_id) BETWEEN 1 AND 64),
    hotkey text NOT NULL CHECK (length(hotkey) BETWEEN 1 AND 64),
    block bigint NOT NULL CHECK (block >= 0),
    revision text NOT NULL CHECK (length(revision) BETWEEN 1 AND 64),
    namespace text NOT NULL CHECK (length(namespace) BETWEEN 1 AND 128),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    config_template text NOT NULL CHECK (length(config_template) BETWEEN 1 AND 64),
    -- An unsigned 64-bit number in decimal: it overflows bigint.
    submission_hash text NOT NULL CHECK (submission_hash ~ '^[0-9]{1,20}$'),
    committed_digest text CHECK (committed_digest ~ '^[0-9a-f]{64}$'),
    repository_bytes bigint CHECK (repository_bytes >= 0),
    weights_digest text CHECK (weights_digest ~ '^[0-9a-f]{64}$'),

    status submission_status NOT NULL,
    priority submission_priority NOT NULL DEFAULT 'NORMAL',
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    not_before timestamptz NOT NULL DEFAULT now(),

    -- Grows with every claim. A write that names an old fence comes from a worker that lost its
    -- lease, however late it arrives and whatever its clock says.
    fence bigint NOT NULL DEFAULT 0,
    worker_id text CHECK (length(worker_id) BETWEEN 1 AND 128),
    lease_expires_at timestamptz,

    failure_kind smallint CHECK (failure_kind BETWEEN 1 AND 3),
    failure_code text CHECK (length(failure_code) <= 64),
    failure_message text CHECK (length(failure_message) <= 4000),

    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT submissions_identity UNIQUE (competition_id, hotkey, block, revision),
    CONSTRAINT submissions_leased_while_active CHECK (
        (status IN ('PRECHECK', 'RUNNING')) = (worker_id IS NOT NULL)
        AND (worker_id IS NULL) = (lease_expires_at IS NULL)
    ),
    CONSTRAINT submissions_failed_with_reason CHECK (
        status <> 'FAILED' OR (failure_kind IN (1, 2) AND failure_message IS NOT NULL)
    )
);

-- The queue itself: finished rows are not in it, so claims stay as fast as at the beginning.
CREATE INDEX submissions_queue ON submissions (priority, block, id) WHERE status = 'QUEUED';
CREATE INDEX submissions_leases ON submissions (lease_expires_at)
    WHERE status IN ('PRECHECK', 'RUNNING');
CREATE INDEX submissions_finished ON submissions (status) WHERE status IN ('COMPLETED', 'FAILED');
CREATE INDEX submissions_by_hash ON submissions (submission_hash, competition_id, block DESC, id DESC);

CREATE FUNCTION refuse_submission_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'submission %: no transition % -> %', NEW.id,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status::text ELSE '(new)' END, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'submissions_transition';
END
$$;

-- The conditions stand in WHEN, so that an allowed step costs no function call.
CREATE TRIGGER submissions_initial BEFORE INSERT ON submissions
FOR EACH ROW WHEN (NEW.status NOT IN ('QUEUED', 'FAILED'))
EXECUTE FUNCTION refuse_submission_transition();

CREATE TRIGGER submissions_transition BEFORE UPDATE OF status ON submissions
FOR EACH ROW WHEN (OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
    ('QUEUED', 'PRECHECK'),
    ('PRECHECK', 'RUNNING'), ('PRECHECK', 'FAILED'), ('PRECHECK', 'QUEUED'),
    ('RUNNING', 'COMPLETED'), ('RUNNING', 'FAILED'), ('RUNNING', 'QUEUED')
))
EXECUTE FUNCTION refuse_submission_transition();

-- Wakes the workers; payloads are equal, so Postgres sends one per transaction.
CREATE FUNCTION announce_submission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY submission_queued;
    RETURN NULL;
END
$$;

CREATE TRIGGER submissions_announce_new AFTER INSERT ON submissions
FOR EACH ROW WHEN (NEW.status = 'QUEUED') EXECUTE FUNCTION announce_submission();

CREATE TRIGGER submissions_announce_again AFTER UPDATE OF status ON submissions
FOR EACH ROW WHEN (NEW.status = 'QUEUED' AND NEW.priority <> 'PARKED')
EXECUTE FUNCTION announce_submission();
