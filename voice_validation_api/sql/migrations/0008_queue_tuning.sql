-- The cost of a claim stays that of a few index entries, whatever the queue was when the worker's
-- session planned the statement, and however many submissions are finished.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- A session keeps its plan. One that began while the queue was empty must not go on as if it were:
-- no step may choose to read everything because there was nothing.
-- Take the first claimable submission under a lease and open its evaluation. No row: none waits.
CREATE OR REPLACE FUNCTION worker_api.claim_submission(p_worker_id text, p_lease interval)
RETURNS SETOF worker_api.claim
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
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
        c.revision, c.config_template, c.hotkey, c.repository_bytes
    FROM claimed c JOIN opened o ON o.submission_id = c.id;
END
$$;

-- Every claim leaves dead entries at the front of the queue's index. By default they would be
-- cleared once a fifth of all submissions there ever were has changed.
ALTER TABLE submissions SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 1000
);
ALTER TABLE evaluations SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 1000
);
