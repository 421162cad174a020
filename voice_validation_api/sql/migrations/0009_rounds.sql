-- Rounds: who is scored together, on prompts that nobody could know when they were pinned.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- OPEN: its entries are fixed. SCORING: its seed is known. CLOSED: published. VOID: nothing came
-- of it that could be published.
CREATE TYPE round_state AS ENUM ('OPEN', 'SCORING', 'CLOSED', 'VOID');

CREATE TABLE rounds (
    competition_id text NOT NULL CHECK (length(competition_id) BETWEEN 1 AND 64),
    number bigint NOT NULL CHECK (number >= 0),
    state round_state NOT NULL DEFAULT 'OPEN',
    start_block bigint NOT NULL CHECK (start_block >= 0),
    seed_block bigint NOT NULL CHECK (seed_block >= start_block),
    end_block bigint NOT NULL CHECK (end_block > seed_block),
    seed_block_hash text CHECK (seed_block_hash ~ '^0x[0-9a-f]{64}$'),
    seed text CHECK (seed ~ '^[0-9a-f]{64}$'),
    closed_block bigint CHECK (closed_block >= seed_block),
    protocol text CHECK (protocol ~ '^[0-9a-f]{64}$'),
    digest text CHECK (digest ~ '^[0-9a-f]{64}$'),
    -- The signed snapshot, character for character as it is served.
    published text CHECK (length(published) <= 67108864),
    -- What followed from all rounds when this one closed; a convenience: everybody can compute it.
    weights jsonb,
    opened_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (competition_id, number),
    CHECK ((seed IS NULL) = (seed_block_hash IS NULL)),
    CHECK (state <> 'OPEN' OR seed IS NULL),
    CHECK (state NOT IN ('SCORING', 'CLOSED') OR seed IS NOT NULL),
    CHECK ((state = 'CLOSED') = (published IS NOT NULL)),
    CHECK ((state = 'CLOSED') = (digest IS NOT NULL)),
    CHECK ((state IN ('CLOSED', 'VOID')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX rounds_one_running ON rounds (competition_id) WHERE state IN ('OPEN', 'SCORING');

CREATE FUNCTION refuse_round_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'round % of % has ended and does not change', OLD.number, OLD.competition_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'rounds_immutable';
END
$$;
CREATE TRIGGER rounds_immutable BEFORE UPDATE OR DELETE ON rounds
FOR EACH ROW WHEN (OLD.state IN ('CLOSED', 'VOID')) EXECUTE FUNCTION refuse_round_change();

CREATE TABLE round_entries (
    competition_id text NOT NULL,
    number bigint NOT NULL,
    submission_id bigint NOT NULL REFERENCES submissions,
    coldkey text NOT NULL CHECK (length(coldkey) BETWEEN 1 AND 64),
    -- Why it takes part without being scored; NULL: it is scored.
    absence text CHECK (length(absence) BETWEEN 1 AND 1000),
    PRIMARY KEY (competition_id, number, submission_id),
    FOREIGN KEY (competition_id, number) REFERENCES rounds
);
CREATE INDEX round_entries_of_submission ON round_entries (submission_id);

ALTER TABLE submissions
    -- The chain's evidence, as the model queue read it.
    ADD COLUMN commitment text CHECK (length(commitment) BETWEEN 1 AND 780),
    ADD COLUMN block_hash text CHECK (block_hash ~ '^0x[0-9a-f]{64}$'),
    ADD COLUMN sealed_block bigint CHECK (sealed_block BETWEEN 0 AND block),
    -- A final block that was reached when the revision had been pinned.
    ADD COLUMN pinned_block bigint CHECK (pinned_block >= 0),
    -- The round that it was drawn into last, and the last that published a score of it.
    ADD COLUMN round bigint,
    ADD COLUMN scored_round bigint,
    -- Rounds in a row at whose start the pinned revision was gone.
    ADD COLUMN misses integer NOT NULL DEFAULT 0 CHECK (misses >= 0),
    -- May be claimed, once it is QUEUED. Where there are rounds: drawn into one that scores.
    ADD COLUMN ready boolean NOT NULL DEFAULT true;

DROP INDEX submissions_queue;
CREATE INDEX submissions_queue ON submissions (priority, block, id)
    WHERE status = 'QUEUED' AND ready;
CREATE INDEX submissions_unpinned ON submissions (id) WHERE pinned_block IS NULL;
CREATE INDEX submissions_unscored ON submissions (competition_id, id)
    WHERE scored_round IS NULL AND status IN ('QUEUED', 'COMPLETED');
CREATE INDEX submissions_of_hotkey ON submissions (hotkey, competition_id, block);

-- Whatever brings a submission into the queue, it is claimed for a round that scores or not at all.
CREATE FUNCTION set_ready() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.ready := NOT EXISTS (SELECT FROM rounds WHERE competition_id = NEW.competition_id)
        OR EXISTS (
            SELECT FROM rounds
            WHERE competition_id = NEW.competition_id AND number = NEW.round AND state = 'SCORING'
        );
    RETURN NEW;
END
$$;
CREATE TRIGGER submissions_ready_new BEFORE INSERT ON submissions
FOR EACH ROW WHEN (NEW.status = 'QUEUED') EXECUTE FUNCTION set_ready();
CREATE TRIGGER submissions_ready BEFORE UPDATE OF status ON submissions
FOR EACH ROW WHEN (NEW.status = 'QUEUED') EXECUTE FUNCTION set_ready();

-- Besides what an operator overturns: a later round may draw what was scored before.
CREATE OR REPLACE FUNCTION refuse_submission_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'FAILED' AND NEW.status = 'QUEUED' AND EXISTS (
            SELECT FROM operator_actions
            WHERE submission_id = NEW.id AND action = 'OVERTURNED'
                AND transaction_id = pg_current_xact_id()
        ) THEN
            RETURN NEW;
        END IF;
        IF OLD.status = 'COMPLETED' AND NEW.status = 'QUEUED'
            AND NEW.round > coalesce(OLD.round, -1) AND EXISTS (
                SELECT FROM round_entries JOIN rounds USING (competition_id, number)
                WHERE submission_id = NEW.id AND competition_id = NEW.competition_id
                    AND number = NEW.round AND state IN ('OPEN', 'SCORING')
            )
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'submission %: no transition % -> %', NEW.id,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status::text ELSE '(new)' END, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'submissions_transition';
END
$$;
REVOKE EXECUTE ON FUNCTION refuse_round_change(), set_ready() FROM PUBLIC;

-- What a claim tells is the seed of its round's prompts; NULL where there are no rounds.
-- A session keeps its plan. One that began while the queue was empty must not go on as if it were:
-- no step may choose to read everything because there was nothing.
ALTER TYPE worker_api.claim ADD ATTRIBUTE prompt_seed text;
CREATE OR REPLACE FUNCTION worker_api.claim_submission(p_worker_id text, p_lease interval)
RETURNS SETOF worker_api.claim
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    PERFORM require_lease(p_lease);
    RETURN QUERY
    WITH candidate AS MATERIALIZED (
        -- SKIP LOCKED: two workers never wait for, nor take, the same row.
        SELECT id FROM submissions
        WHERE status = 'QUEUED' AND ready AND priority < 'PARKED' AND not_before <= now()
        ORDER BY priority, block, id
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ),
    claimed AS (
        -- The new fence shuts out whoever held the submission before. The candidate is locked and
        -- QUEUED; to ask for that again invites a scan of the whole queue for its id.
        UPDATE submissions s
        SET status = 'PRECHECK', fence = s.fence + 1, attempts = s.attempts + 1,
            worker_id = p_worker_id, lease_expires_at = now() + p_lease, updated_at = now()
        FROM candidate
        WHERE s.id = candidate.id
        RETURNING s.*
    ),
    opened AS (
        -- The partial unique index refuses a second active evaluation of one submission.
        INSERT INTO evaluations (submission_id, fence, worker_id)
        SELECT c.id, c.fence, c.worker_id FROM claimed c
        RETURNING id, submission_id
    )
    SELECT
        c.id, o.id, c.worker_id, c.fence, c.attempts, c.competition_id, c.namespace, c.name,
        c.revision, c.config_template, c.hotkey, c.repository_bytes,
        (SELECT r.seed FROM rounds r WHERE r.competition_id = c.competition_id AND r.number = c.round)
    FROM claimed c JOIN opened o ON o.submission_id = c.id;
END
$$;
