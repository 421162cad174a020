-- All that a worker may do, as functions: its role has no right on any table. The functions of the
-- schema worker_api are its whole surface (sql/access.sql grants them); what they share stands in
-- the schema of the tables and is nobody's but the owner's.
--
-- A caller writes about its own live claim only: the submission, the fence, the worker and the
-- role that logged in must all be those of the claim. Everything else it says is checked here, by
-- type, by range, or by the constraints of the tables.

-- The functions run with their owner's rights, so nothing that a caller could have made may be
-- found before ours: a temporary table hides others unless pg_temp is named, last.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE SCHEMA worker_api;
-- What later migrations create is closed too.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION refuse_submission_transition(), announce_submission() FROM PUBLIC;

-- Who claimed: a stolen password settles no claim of another machine's role, and can be traced.
ALTER TABLE evaluations
    ADD COLUMN claimed_by text NOT NULL DEFAULT session_user CHECK (length(claimed_by) <= 64);

-- Rows that are there already were checked by the worker.
ALTER TABLE samples
    ADD CHECK (length(text) <= 2000) NOT VALID,
    ADD CHECK (length(reason) <= 1000) NOT VALID,
    ADD CHECK (length(audio) <= 255) NOT VALID,
    ADD CHECK (length(transcript) <= 10000) NOT VALID,
    ADD CHECK (length(second_transcript) <= 10000) NOT VALID,
    ADD CHECK (pg_column_size(prompt) <= 65536) NOT VALID,
    ADD CHECK (pg_column_size(errors) <= 4096) NOT VALID,
    ADD CHECK (pg_column_size(components) <= 1048576) NOT VALID,
    ADD CHECK (seconds BETWEEN 0 AND 3600) NOT VALID,
    ADD CHECK (wer >= 0 AND wer < 'Infinity') NOT VALID,
    ADD CHECK (human_likeness BETWEEN 0 AND 1) NOT VALID,
    ADD CHECK (score BETWEEN 0 AND 1) NOT VALID;
ALTER TABLE results
    ADD CHECK (prompts_digest ~ '^[0-9a-f]{64}$') NOT VALID,
    ADD CHECK (low <= high) NOT VALID,
    ADD CHECK (pg_column_size(details) <= 8388608) NOT VALID;
ALTER TABLE calibrations
    ADD CHECK (length(competition_id) BETWEEN 1 AND 64) NOT VALID,
    ADD CHECK (prompts_digest ~ '^[0-9a-f]{64}$') NOT VALID,
    ADD CHECK (low <= high) NOT VALID,
    ADD CHECK (scored >= 0 AND unscored >= 0) NOT VALID;

CREATE FUNCTION require(p_holds boolean, p_rule text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_holds IS NOT TRUE THEN
        RAISE EXCEPTION 'refused: %', p_rule USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

CREATE FUNCTION require_lease(p_lease interval) RETURNS void LANGUAGE sql AS $$
    SELECT require(p_lease BETWEEN '1 second' AND '1 hour', 'a lease lasts 1 second to 1 hour')
$$;

-- Whether the caller holds the claim; the submission is locked then.
CREATE FUNCTION lock_claim(p_submission_id bigint, p_fence bigint, p_worker_id text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM submissions s
    JOIN evaluations e ON e.submission_id = s.id AND e.fence = s.fence
    WHERE s.id = p_submission_id AND s.fence = p_fence AND s.worker_id = p_worker_id
        AND s.status IN ('PRECHECK', 'RUNNING') AND e.claimed_by = session_user
    FOR NO KEY UPDATE OF s;
    RETURN FOUND;
END
$$;

-- Close the evaluation of a claim; its id.
CREATE FUNCTION close_evaluation(
    p_submission_id bigint, p_fence bigint, p_outcome attempt_outcome, p_code text, p_detail text,
    p_log text
) RETURNS bigint LANGUAGE sql AS $$
    UPDATE evaluations
    SET ended_at = now(), outcome = p_outcome, failure_code = p_code, detail = p_detail, log = p_log
    WHERE submission_id = p_submission_id AND fence = p_fence AND ended_at IS NULL
    RETURNING id
$$;

-- Whether the caller settled the claim like this before, and asks again after a broken connection.
CREATE FUNCTION was_settled(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_outcome attempt_outcome, p_code text
) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM evaluations
        WHERE submission_id = p_submission_id AND fence = p_fence AND worker_id = p_worker_id
            AND claimed_by = session_user AND outcome = p_outcome
            AND failure_code IS NOT DISTINCT FROM p_code
    )
$$;

-- Active -> QUEUED after an error of ours: for a retry, or parked. The evaluation is closed.
CREATE FUNCTION requeue_claim(
    p_submission_id bigint, p_fence bigint, p_priority submission_priority, p_delay interval,
    p_code text, p_message text, p_detail text, p_log text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM require(p_code ~ '^[A-Z][A-Z0-9_]*$', 'a failure code is in capitals');
    PERFORM require(p_message IS NOT NULL, 'a failure has a message');
    PERFORM require(p_delay BETWEEN '0' AND '1 day', 'a retry waits at most a day');
    UPDATE submissions
    SET status = 'QUEUED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
        -- A submission that waits among the retries does not get out of them by losing a worker.
        priority = greatest(priority, p_priority), not_before = now() + p_delay,
        failure_kind = 3, failure_code = p_code, failure_message = p_message
    WHERE id = p_submission_id;
    PERFORM close_evaluation(
        p_submission_id, p_fence,
        CASE WHEN p_priority = 'PARKED' THEN 'PARKED'::attempt_outcome ELSE 'RETRIED' END,
        p_code, p_detail, p_log
    );
END
$$;

-- From here on: what workers call. A boolean says whether the claim was, or had been, theirs.

CREATE FUNCTION worker_api.schema_version() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT max(version) FROM schema_migrations
$$;

-- A type of its own, so that later migrations can add attributes.
CREATE TYPE worker_api.claim AS (
    submission_id bigint, evaluation_id bigint, worker_id text, fence bigint, attempts integer,
    competition_id text, namespace text, name text, revision text, config_template text,
    hotkey text, repository_bytes bigint
);

-- Take the first claimable submission under a lease and open its evaluation. No row: none waits.
CREATE FUNCTION worker_api.claim_submission(p_worker_id text, p_lease interval)
RETURNS SETOF worker_api.claim
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_lease(p_lease);
    RETURN QUERY
    WITH candidate AS MATERIALIZED (
        -- SKIP LOCKED: two workers never wait for, nor take, the same row.
        SELECT id FROM submissions
        WHERE status = 'QUEUED' AND priority < 'PARKED' AND not_before <= now()
        ORDER BY priority, block, id
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ),
    claimed AS (
        -- The new fence shuts out whoever held the submission before.
        UPDATE submissions s
        SET status = 'PRECHECK', fence = s.fence + 1, attempts = s.attempts + 1,
            worker_id = p_worker_id, lease_expires_at = now() + p_lease, updated_at = now()
        FROM candidate
        WHERE s.id = candidate.id AND s.status = 'QUEUED'
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
        c.revision, c.config_template, c.hotkey, c.repository_bytes
    FROM claimed c JOIN opened o ON o.submission_id = c.id;
END
$$;

-- Heartbeat: push the lease's end ahead. A lease past its end may still be extended while nobody
-- has taken it back: after an outage of the database the work goes on.
CREATE FUNCTION worker_api.extend_lease(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_lease interval
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_lease(p_lease);
    IF NOT lock_claim(p_submission_id, p_fence, p_worker_id) THEN
        RETURN false;
    END IF;
    UPDATE submissions SET lease_expires_at = now() + p_lease WHERE id = p_submission_id;
    RETURN true;
END
$$;

-- PRECHECK -> RUNNING: the pinned revision is here and checked. RUNNING stays RUNNING, so that a
-- worker whose first try was cut off can ask again.
CREATE FUNCTION worker_api.start_running(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_lease interval
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require_lease(p_lease);
    IF NOT lock_claim(p_submission_id, p_fence, p_worker_id) THEN
        RETURN false;
    END IF;
    UPDATE submissions
    SET status = 'RUNNING', lease_expires_at = now() + p_lease, updated_at = now()
    WHERE id = p_submission_id;
    RETURN true;
END
$$;

-- RUNNING -> COMPLETED with a score: {score, weights_digest, details, samples}.
CREATE FUNCTION worker_api.complete_submission(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_result jsonb, p_log text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_evaluation_id bigint;
BEGIN
    -- What a worker reads of an evaluator is at most a quarter of this.
    PERFORM require(pg_column_size(p_result) <= 268435456, 'a result has at most 256 MiB');
    IF NOT lock_claim(p_submission_id, p_fence, p_worker_id) THEN
        RETURN was_settled(p_submission_id, p_fence, p_worker_id, 'COMPLETED', NULL);
    END IF;
    UPDATE submissions
    SET status = 'COMPLETED', weights_digest = p_result ->> 'weights_digest',
        worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
        failure_kind = NULL, failure_code = NULL, failure_message = NULL
    WHERE id = p_submission_id AND status = 'RUNNING';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_evaluation_id := close_evaluation(p_submission_id, p_fence, 'COMPLETED', NULL, NULL, p_log);
    INSERT INTO results (
        evaluation_id, submission_id, competition_id, block, protocol, prompts_digest,
        score, low, high, wer, human_likeness, scored, unscored, details
    )
    SELECT
        v_evaluation_id, s.id, s.competition_id, s.block, r.protocol, r.prompts_digest,
        r.score, r.low, r.high, r.wer, r.human_likeness, r.scored, r.unscored, p_result -> 'details'
    FROM submissions s, jsonb_to_record(p_result -> 'score') AS r (
        protocol text, prompts_digest text, score double precision, low double precision,
        high double precision, wer double precision, human_likeness double precision,
        scored integer, unscored integer
    )
    WHERE s.id = p_submission_id;
    PERFORM require(jsonb_array_length(p_result -> 'samples') <= 10000, 'at most 10000 samples');
    INSERT INTO samples (
        evaluation_id, prompt_index, text, prompt, outcome, reason, audio, audio_digest, seconds,
        truncated, transcript, second_transcript, errors, wer, human_likeness, score, components
    )
    SELECT
        v_evaluation_id, prompt_index, text, prompt, outcome, reason, audio, audio_digest, seconds,
        truncated, transcript, second_transcript, errors, wer, human_likeness, score, components
    FROM jsonb_to_recordset(p_result -> 'samples') AS r (
        prompt_index integer, text text, prompt jsonb, outcome text, reason text, audio text,
        audio_digest text, seconds double precision, truncated boolean, transcript text,
        second_transcript text, errors jsonb, wer double precision,
        human_likeness double precision, score double precision, components jsonb
    );
    -- No score plays the clips of another one.
    PERFORM require(
        coalesce(bool_and(
            audio ~ ('^' || p_submission_id || '/' || v_evaluation_id || '/[A-Za-z0-9_-]+\.wav$')
        ), true),
        'audio lies in the directory of the evaluation'
    )
    FROM samples WHERE evaluation_id = v_evaluation_id AND audio IS NOT NULL;
    RETURN true;
END
$$;

-- Active -> FAILED: final, the miner's.
CREATE FUNCTION worker_api.fail_submission(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_kind integer, p_code text,
    p_message text, p_detail text, p_log text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require(p_kind IN (1, 2), 'only a fault of the repository or the model is final');
    PERFORM require(p_code ~ '^[A-Z][A-Z0-9_]*$', 'a failure code is in capitals');
    IF NOT lock_claim(p_submission_id, p_fence, p_worker_id) THEN
        RETURN was_settled(p_submission_id, p_fence, p_worker_id, 'FAILED', p_code);
    END IF;
    UPDATE submissions
    SET status = 'FAILED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
        failure_kind = p_kind, failure_code = p_code, failure_message = p_message
    WHERE id = p_submission_id;
    PERFORM close_evaluation(p_submission_id, p_fence, 'FAILED', p_code, p_detail, p_log);
    RETURN true;
END
$$;

-- Active -> QUEUED after an error of ours.
CREATE FUNCTION worker_api.requeue_submission(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_priority text, p_delay interval,
    p_code text, p_message text, p_detail text, p_log text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT lock_claim(p_submission_id, p_fence, p_worker_id) THEN
        RETURN was_settled(
            p_submission_id, p_fence, p_worker_id,
            CASE WHEN p_priority = 'PARKED' THEN 'PARKED'::attempt_outcome ELSE 'RETRIED' END,
            p_code
        );
    END IF;
    PERFORM requeue_claim(
        p_submission_id, p_fence, p_priority::submission_priority, p_delay, p_code, p_message,
        p_detail, p_log
    );
    RETURN true;
END
$$;

-- Active -> QUEUED in its old place: the worker was told to stop. The attempt does not count.
CREATE FUNCTION worker_api.hand_back_submission(
    p_submission_id bigint, p_fence bigint, p_worker_id text, p_log text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT lock_claim(p_submission_id, p_fence, p_worker_id) THEN
        RETURN was_settled(p_submission_id, p_fence, p_worker_id, 'HANDED_BACK', NULL);
    END IF;
    UPDATE submissions
    SET status = 'QUEUED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
        attempts = attempts - 1
    WHERE id = p_submission_id;
    PERFORM close_evaluation(p_submission_id, p_fence, 'HANDED_BACK', NULL, NULL, p_log);
    RETURN true;
END
$$;

-- Leases that ran out, locked for taking back. It reads the leases alone and asks nothing of the
-- workers that held them; SKIP LOCKED leaves out those that another session takes back, and those
-- whose worker writes at this moment.
CREATE FUNCTION worker_api.expired_leases()
RETURNS TABLE (
    submission_id bigint, evaluation_id bigint, worker_id text, fence bigint, attempts integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RETURN QUERY
    SELECT s.id, e.id, s.worker_id, s.fence, s.attempts
    FROM submissions s
    JOIN evaluations e ON e.submission_id = s.id AND e.ended_at IS NULL
    WHERE s.status IN ('PRECHECK', 'RUNNING') AND s.lease_expires_at < now()
    ORDER BY s.lease_expires_at
    LIMIT 100
    FOR UPDATE OF s SKIP LOCKED;
END
$$;

-- Take back one of them, whoever held it.
CREATE FUNCTION worker_api.take_back_submission(
    p_submission_id bigint, p_fence bigint, p_priority text, p_delay interval, p_message text,
    p_detail text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM submissions
    WHERE id = p_submission_id AND fence = p_fence AND status IN ('PRECHECK', 'RUNNING')
        AND lease_expires_at < now()
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM requeue_claim(
        p_submission_id, p_fence, p_priority::submission_priority, p_delay, 'WORKER_LOST',
        p_message, p_detail, ''
    );
    RETURN true;
END
$$;

-- How a reference voice scores.
CREATE FUNCTION worker_api.record_calibration(
    p_competition_id text, p_voice text, p_request_digest text, p_score jsonb
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM require(p_voice ~ '^[a-z0-9-]+$', 'a voice is named in small letters');
    INSERT INTO calibrations (
        competition_id, voice, request_digest, protocol, prompts_digest, score, low, high, wer,
        human_likeness, scored, unscored
    )
    SELECT
        p_competition_id, p_voice, p_request_digest, r.protocol, r.prompts_digest, r.score, r.low,
        r.high, r.wer, r.human_likeness, r.scored, r.unscored
    FROM jsonb_to_record(p_score) AS r (
        protocol text, prompts_digest text, score double precision, low double precision,
        high double precision, wer double precision, human_likeness double precision,
        scored integer, unscored integer
    )
    ON CONFLICT (competition_id, voice, request_digest) DO UPDATE SET
        protocol = excluded.protocol, prompts_digest = excluded.prompts_digest,
        score = excluded.score, low = excluded.low, high = excluded.high, wer = excluded.wer,
        human_likeness = excluded.human_likeness, scored = excluded.scored,
        unscored = excluded.unscored, recorded_at = now();
    -- More than any board shows.
    DELETE FROM calibrations WHERE ctid IN (
        SELECT ctid FROM calibrations WHERE competition_id = p_competition_id
        ORDER BY recorded_at DESC OFFSET 1000
    );
END
$$;

-- The voices that were scored for a request, each with the protocol of its score.
CREATE FUNCTION worker_api.calibrated_voices(p_competition_id text, p_request_digest text)
RETURNS TABLE (voice text, protocol text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT voice, protocol FROM calibrations
    WHERE competition_id = p_competition_id AND request_digest = p_request_digest
    LIMIT 1000
$$;
