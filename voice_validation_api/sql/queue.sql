-- name: claim_submission
-- Take the first claimable submission under a lease. What the functions of worker_api do, and what
-- they refuse, stands in migrations/0004_worker_functions.sql.
SELECT * FROM worker_api.claim_submission(%(worker_id)s, %(lease)s);

-- name: extend_lease
-- Heartbeat: push the lease's end ahead.
SELECT worker_api.extend_lease(%(submission_id)s, %(fence)s, %(worker_id)s, %(lease)s) AS answer;

-- name: start_running
-- PRECHECK -> RUNNING: the pinned revision is here and checked.
SELECT worker_api.start_running(%(submission_id)s, %(fence)s, %(worker_id)s, %(lease)s) AS answer;

-- name: complete_submission
-- RUNNING -> COMPLETED with a score and its samples.
SELECT worker_api.complete_submission(
    %(submission_id)s, %(fence)s, %(worker_id)s, %(result)s, %(log)s
) AS answer;

-- name: fail_submission
-- PRECHECK or RUNNING -> FAILED: final, the miner's.
SELECT worker_api.fail_submission(
    %(submission_id)s, %(fence)s, %(worker_id)s, %(kind)s, %(code)s, %(message)s, %(detail)s, %(log)s
) AS answer;

-- name: requeue_submission
-- PRECHECK or RUNNING -> QUEUED after an error of ours: for a retry, or parked.
SELECT worker_api.requeue_submission(
    %(submission_id)s, %(fence)s, %(worker_id)s, %(priority)s, %(delay)s, %(code)s, %(message)s,
    %(detail)s, %(log)s
) AS answer;

-- name: hand_back_submission
-- PRECHECK or RUNNING -> QUEUED in its old place: the worker was told to stop.
SELECT worker_api.hand_back_submission(
    %(submission_id)s, %(fence)s, %(worker_id)s, %(log)s
) AS answer;

-- name: expired_leases
-- Leases that ran out, locked for taking back.
SELECT * FROM worker_api.expired_leases();

-- name: take_back_submission
-- Requeue the submission of a lease that ran out.
SELECT worker_api.take_back_submission(
    %(submission_id)s, %(fence)s, %(priority)s, %(delay)s, %(message)s, %(detail)s
) AS answer;

-- name: record_presence
-- The worker is there; whether its canary failed.
SELECT worker_api.record_presence(%(worker_id)s, %(ill)s);

-- name: forget_presence
-- The worker ends.
SELECT worker_api.forget_presence(%(worker_id)s);

-- name: record_calibration
-- How a reference voice scores.
SELECT worker_api.record_calibration(
    %(competition_id)s, %(voice)s, %(request_digest)s, %(score)s
);

-- name: calibrated_voices
-- The voices that were scored for a request, each with the protocol of its score.
SELECT * FROM worker_api.calibrated_voices(%(competition_id)s, %(request_digest)s);

-- name: attempts_of_submission
-- Every attempt at a submission, first to last.
SELECT id, submission_id, worker_id, started_at, ended_at, outcome, failure_code, detail, log
FROM evaluations WHERE submission_id = %(submission_id)s
ORDER BY id;
