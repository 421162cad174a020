-- name: submit_submission
-- Get or create: admitted as QUEUED, or refused as FAILED with the reason.
-- Answers with no row when another session inserted the same one meanwhile; ask again then.
WITH inserted AS (
    INSERT INTO submissions (
        competition_id, hotkey, block, revision, namespace, name, config_template,
        submission_hash, committed_digest, repository_bytes, commitment, block_hash, sealed_block,
        status, failure_kind, failure_code, failure_message
    ) VALUES (
        %(competition_id)s, %(hotkey)s, %(block)s, %(revision)s, %(namespace)s, %(name)s,
        %(config_template)s, %(submission_hash)s, %(committed_digest)s, %(repository_bytes)s,
        %(commitment)s, %(block_hash)s, %(sealed_block)s, %(status)s, %(failure_kind)s, %(failure_code)s, %(failure_message)s
    )
    ON CONFLICT ON CONSTRAINT submissions_identity DO NOTHING
    RETURNING *
)
SELECT * FROM inserted
UNION ALL
SELECT * FROM submissions
WHERE competition_id = %(competition_id)s AND hotkey = %(hotkey)s
    AND block = %(block)s AND revision = %(revision)s
LIMIT 1;

-- name: get_submission
-- One submission.
SELECT * FROM submissions WHERE id = %(id)s;

-- name: newest_submission_by_hash
-- The newest submission under a hash; names are compared too, because the hash is only 64 bits.
SELECT * FROM submissions
WHERE submission_hash = %(submission_hash)s AND competition_id = %(competition_id)s
    AND namespace = %(namespace)s AND name = %(name)s AND config_template = %(config_template)s
    AND (%(hotkey)s::text IS NULL OR hotkey = %(hotkey)s)
ORDER BY block DESC, id DESC
LIMIT 1;

-- name: recent_submissions
-- The newest submissions, each with its newest score.
SELECT
    s.id AS submission_id, s.competition_id, s.hotkey, s.namespace, s.name, s.revision, s.block,
    s.config_template, s.submission_hash, s.status, s.priority, s.failure_kind, s.failure_message,
    r.score, r.wer, r.human_likeness, s.created_at, s.updated_at
FROM (SELECT * FROM submissions ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s) AS s
LEFT JOIN LATERAL (
    SELECT * FROM results WHERE submission_id = s.id ORDER BY evaluation_id DESC LIMIT 1
) AS r ON true
ORDER BY s.id DESC;

-- name: attempts_shown
-- The newest attempts at a submission, first to last, without logs, which may be megabytes.
SELECT started_at, ended_at, outcome, failure_code
FROM (
    SELECT * FROM evaluations WHERE submission_id = %(submission_id)s ORDER BY id DESC LIMIT 100
) AS newest
ORDER BY id;

-- name: queue_counts
-- How many submissions wait, are parked and are done.
SELECT
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED' AND priority = 'NORMAL') AS waiting,
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED' AND priority = 'RETRY') AS retrying,
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED' AND priority = 'PARKED') AS parked,
    (SELECT count(*) FROM submissions WHERE status = 'COMPLETED') AS completed,
    (SELECT count(*) FROM submissions WHERE status = 'FAILED') AS failed;

-- name: worker_counts
-- How many workers are there: they hold a submission, or were heard of within five minutes.
WITH seen AS (
    SELECT worker_id, ill FROM worker_presence WHERE seen_at > now() - interval '5 minutes'
),
busy AS (
    SELECT DISTINCT worker_id FROM submissions
    WHERE status IN ('PRECHECK', 'RUNNING') AND lease_expires_at > now()
)
SELECT
    (SELECT count(*) FROM (SELECT worker_id FROM seen UNION SELECT worker_id FROM busy) AS a)
        AS alive,
    (SELECT count(*) FROM busy) AS busy,
    (SELECT count(*) FROM seen WHERE ill) AS ill;

-- name: running_leases
-- The submissions that workers hold now.
SELECT
    s.id AS submission_id, s.status, s.worker_id, s.attempts, e.started_at, s.lease_expires_at
FROM submissions s
JOIN evaluations e ON e.submission_id = s.id AND e.ended_at IS NULL
WHERE s.status IN ('PRECHECK', 'RUNNING')
ORDER BY e.started_at, s.id
LIMIT 1000;

-- name: ping
-- Does the database answer?
SELECT 1 AS one;
