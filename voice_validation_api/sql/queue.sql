-- name: claim_submission
-- Take the first claimable submission under a lease and open its evaluation, in one statement.
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
        worker_id = %(worker_id)s, lease_expires_at = now() + %(lease)s, updated_at = now()
    FROM candidate
    WHERE s.id = candidate.id AND s.status = 'QUEUED'
    RETURNING s.*
),
opened AS (
    -- The partial unique index refuses a second active evaluation of one submission.
    INSERT INTO evaluations (submission_id, fence, worker_id)
    SELECT id, fence, worker_id FROM claimed
    RETURNING id, submission_id
)
SELECT
    c.id AS submission_id, o.id AS evaluation_id, c.worker_id, c.fence, c.attempts,
    c.competition_id, c.namespace, c.name, c.revision, c.config_template, c.hotkey,
    c.repository_bytes
FROM claimed c JOIN opened o ON o.submission_id = c.id;

-- name: extend_lease
-- Heartbeat: push the lease's end ahead. No row: the lease is lost.
-- A lease past its end may still be extended while nobody has taken it back: after an outage of
-- the database the work goes on.
UPDATE submissions SET lease_expires_at = now() + %(lease)s
WHERE id = %(submission_id)s AND fence = %(fence)s AND worker_id = %(worker_id)s
    AND status IN ('PRECHECK', 'RUNNING')
RETURNING id;

-- name: start_running
-- PRECHECK -> RUNNING: the pinned revision is here and checked. No row: the lease is lost.
-- RUNNING stays RUNNING, so that a worker whose first try was cut off can ask again.
UPDATE submissions SET status = 'RUNNING', lease_expires_at = now() + %(lease)s, updated_at = now()
WHERE id = %(submission_id)s AND fence = %(fence)s AND worker_id = %(worker_id)s
    AND status IN ('PRECHECK', 'RUNNING')
RETURNING id;

-- name: complete_submission
-- RUNNING -> COMPLETED. No row: the lease is lost.
UPDATE submissions
SET status = 'COMPLETED', weights_digest = %(weights_digest)s,
    worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
    failure_kind = NULL, failure_code = NULL, failure_message = NULL
WHERE id = %(submission_id)s AND fence = %(fence)s AND worker_id = %(worker_id)s
    AND status = 'RUNNING'
RETURNING id;

-- name: fail_submission
-- PRECHECK or RUNNING -> FAILED: final, the miner's. No row: the lease is lost.
UPDATE submissions
SET status = 'FAILED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
    failure_kind = %(failure_kind)s, failure_code = %(failure_code)s,
    failure_message = %(failure_message)s
WHERE id = %(submission_id)s AND fence = %(fence)s AND worker_id = %(worker_id)s
    AND status IN ('PRECHECK', 'RUNNING')
RETURNING id;

-- name: requeue_submission
-- PRECHECK or RUNNING -> QUEUED after an error of ours: for a retry, or parked.
-- No row: the lease is lost.
UPDATE submissions
SET status = 'QUEUED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
    -- A submission that waits among the retries does not get out of them by losing a worker.
    priority = greatest(priority, %(priority)s::submission_priority),
    not_before = now() + %(delay)s,
    failure_kind = %(failure_kind)s, failure_code = %(failure_code)s,
    failure_message = %(failure_message)s
WHERE id = %(submission_id)s AND fence = %(fence)s AND worker_id = %(worker_id)s
    AND status IN ('PRECHECK', 'RUNNING')
RETURNING id;

-- name: hand_back_submission
-- PRECHECK or RUNNING -> QUEUED in its old place: the worker was told to stop.
-- The attempt does not count. No row: the lease is lost.
UPDATE submissions
SET status = 'QUEUED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
    attempts = attempts - 1
WHERE id = %(submission_id)s AND fence = %(fence)s AND worker_id = %(worker_id)s
    AND status IN ('PRECHECK', 'RUNNING')
RETURNING id;

-- name: close_evaluation
-- End the active evaluation of a claim.
UPDATE evaluations
SET ended_at = now(), outcome = %(outcome)s, failure_code = %(failure_code)s,
    detail = %(detail)s, log = %(log)s
WHERE id = %(evaluation_id)s AND ended_at IS NULL;

-- name: expired_leases
-- Leases that ran out, locked for taking back. It reads the leases alone and asks nothing of the
-- workers that held them; SKIP LOCKED leaves out those that another session takes back, and those
-- whose worker writes at this moment.
SELECT s.id AS submission_id, e.id AS evaluation_id, s.worker_id, s.fence, s.attempts
FROM submissions s
JOIN evaluations e ON e.submission_id = s.id AND e.ended_at IS NULL
WHERE s.status IN ('PRECHECK', 'RUNNING') AND s.lease_expires_at < now()
ORDER BY s.lease_expires_at
LIMIT 100
FOR UPDATE OF s SKIP LOCKED;

-- name: evaluation_outcome
-- How an evaluation ended; asked by a worker that cannot tell whether its last write was kept.
SELECT id, submission_id, worker_id, started_at, ended_at, outcome, failure_code, detail, log
FROM evaluations WHERE id = %(evaluation_id)s;

-- name: attempts_of_submission
-- Every attempt at a submission, first to last.
SELECT id, submission_id, worker_id, started_at, ended_at, outcome, failure_code, detail, log
FROM evaluations WHERE submission_id = %(submission_id)s
ORDER BY id;
