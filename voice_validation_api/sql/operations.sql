-- name: service_state
-- Everything that metrics tell about the service, in one row.
WITH queued AS (
    SELECT
        count(*) FILTER (WHERE priority = 'NORMAL') AS waiting,
        count(*) FILTER (WHERE priority = 'RETRY') AS retrying,
        count(*) FILTER (WHERE priority = 'PARKED') AS parked,
        -- Since when it could have been claimed: its admission, its return, or its pause's end.
        -- What waits for a round cannot.
        min(greatest(updated_at, not_before)) FILTER (WHERE priority < 'PARKED' AND ready)
            AS claimable_since
    FROM submissions WHERE status = 'QUEUED'
)
SELECT
    waiting, retrying, parked,
    greatest(0, coalesce(extract(epoch FROM now() - claimable_since), 0))::double precision
        AS oldest_waiting_seconds,
    (SELECT count(*) FROM submissions WHERE status = 'PRECHECK') AS precheck,
    (SELECT count(*) FROM submissions WHERE status = 'RUNNING') AS running,
    (SELECT count(*) FROM submissions WHERE status = 'COMPLETED') AS completed,
    (SELECT count(*) FROM submissions WHERE status = 'FAILED') AS failed,
    (SELECT count(*) FROM results) AS results,
    (
        SELECT coalesce(extract(epoch FROM now() - min(started_at)), 0)
        FROM evaluations WHERE ended_at IS NULL
    )::double precision AS oldest_lease_seconds,
    (
        SELECT count(*) FROM submissions
        WHERE status IN ('PRECHECK', 'RUNNING') AND lease_expires_at < now()
    ) AS expired_leases,
    (
        SELECT extract(epoch FROM recorded_at) FROM results ORDER BY evaluation_id DESC LIMIT 1
    )::double precision AS newest_result_at,
    pg_database_size(current_database()) AS database_bytes,
    (
        SELECT coalesce(jsonb_agg(a), '[]') FROM (
            SELECT outcome, failure_code, count(*) AS attempts
            FROM evaluations
            WHERE ended_at > now() - interval '1 hour'
            GROUP BY outcome, failure_code
            LIMIT 1000
        ) AS a
    ) AS attempts,
    (
        SELECT coalesce(jsonb_agg(v), '[]') FROM (
            SELECT DISTINCT ON (competition_id, voice)
                competition_id, voice, score, extract(epoch FROM recorded_at) AS recorded_at
            FROM calibrations
            ORDER BY competition_id, voice, recorded_at DESC
            LIMIT 100
        ) AS v
    ) AS voices,
    -- A worker that is gone keeps its last line for a month; it is nobody's trouble any more.
    (
        SELECT coalesce(jsonb_object_agg(verdict, workers), '{}') FROM (
            SELECT verdict, count(*) AS workers FROM canary_checks
            WHERE checked_at > now() - interval '2 days'
            GROUP BY verdict
        ) AS c
    ) AS canaries
FROM queued;

-- name: set_aside
-- What no worker will look at by itself: parked or failed submissions, with the end of the story.
SELECT
    s.id, s.status, s.namespace, s.name, s.revision, s.hotkey, s.block, s.attempts, s.failure_code,
    s.failure_message, e.detail, e.worker_id, s.updated_at
FROM submissions s
LEFT JOIN LATERAL (
    SELECT detail, worker_id FROM evaluations WHERE submission_id = s.id ORDER BY id DESC LIMIT 1
) AS e ON true
WHERE (
        (%(status)s = 'QUEUED' AND s.status = 'QUEUED' AND s.priority = 'PARKED')
        OR (%(status)s = 'FAILED' AND s.status = 'FAILED')
    )
    AND (%(ids)s::bigint[] IS NULL OR s.id = ANY(%(ids)s))
    AND (%(codes)s::text[] IS NULL OR s.failure_code = ANY(%(codes)s))
ORDER BY s.updated_at DESC, s.id DESC
LIMIT %(limit)s;

-- name: requeue_parked
-- Parked submissions back into the queue, behind all others and with all their retries, and a note
-- of who did it. A submission that is not parked any more is left alone.
WITH chosen AS (
    SELECT id, attempts, failure_code, failure_message FROM submissions
    WHERE status = 'QUEUED' AND priority = 'PARKED'
        AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
        AND (%(codes)s::text[] IS NULL OR failure_code = ANY(%(codes)s))
    ORDER BY id
    FOR UPDATE
),
noted AS (
    INSERT INTO operator_actions (
        submission_id, action, operator, reason, attempts, failure_code, failure_message
    )
    SELECT id, 'REQUEUED', %(operator)s, %(reason)s, attempts, failure_code, failure_message
    FROM chosen
)
UPDATE submissions s
SET status = 'QUEUED', priority = 'RETRY', attempts = 0, not_before = now(), updated_at = now(),
    failure_kind = NULL, failure_code = NULL, failure_message = NULL
FROM chosen
WHERE s.id = chosen.id AND s.status = 'QUEUED' AND s.priority = 'PARKED'
RETURNING s.id;

-- name: note_overturned
-- Why a failure does not count. The trigger on submissions asks for this row.
INSERT INTO operator_actions (
    submission_id, action, operator, reason, attempts, failure_code, failure_message
)
SELECT id, 'OVERTURNED', %(operator)s, %(reason)s, attempts, failure_code, failure_message
FROM submissions
-- What was never pinned cannot be downloaded; asking the API for it looks at it anew.
WHERE id = %(id)s AND status = 'FAILED' AND revision <> %(unpinned)s
FOR UPDATE;

-- name: overturn_failure
-- FAILED -> QUEUED, after note_overturned and in the same transaction.
UPDATE submissions
SET status = 'QUEUED', priority = 'NORMAL', attempts = 0, not_before = now(), updated_at = now(),
    failure_kind = NULL, failure_code = NULL, failure_message = NULL
WHERE id = %(id)s AND status = 'FAILED';

-- name: operator_actions
-- What operators did, newest first.
SELECT id, submission_id, action, operator, role, reason, failure_code, acted_at
FROM operator_actions
ORDER BY id DESC
LIMIT %(limit)s;

-- name: known_evaluations
-- Which of these evaluations the database has.
SELECT id FROM evaluations WHERE id = ANY(%(ids)s);

-- name: expendable_audio
-- Of these evaluations, the old ones whose score does not count: there is none, or the submission
-- has a newer one, and none of the last rounds published it: those are audited.
SELECT e.id FROM evaluations e
WHERE e.id = ANY(%(ids)s) AND e.ended_at < now() - %(age)s
    AND NOT EXISTS (
        SELECT FROM results r
        WHERE r.evaluation_id = e.id AND NOT EXISTS (
            SELECT FROM results newer
            WHERE newer.submission_id = r.submission_id AND newer.evaluation_id > r.evaluation_id
        )
    )
    AND NOT EXISTS (
        SELECT FROM results r
        JOIN (
            SELECT competition_id, protocol, row_number() OVER (
                PARTITION BY competition_id ORDER BY number DESC
            ) AS age
            FROM rounds WHERE state = 'CLOSED'
        ) AS o ON o.competition_id = r.competition_id AND o.protocol = r.protocol
        WHERE r.evaluation_id = e.id AND o.age <= %(audited_rounds)s
    );

-- name: forget_audio
-- Nothing refers to the clips of these evaluations any more; their digests stay.
UPDATE samples SET audio = NULL WHERE evaluation_id = ANY(%(ids)s) AND audio IS NOT NULL;

-- name: old_logs
-- How many evaluations have an old log, and how long these logs are together.
SELECT count(*) AS entries, coalesce(sum(octet_length(log)), 0)::bigint AS size_bytes
FROM evaluations WHERE ended_at < now() - %(age)s AND log IS NOT NULL;

-- name: remove_old_logs
-- The logs of a bounded number of old evaluations, the oldest first.
WITH old AS (
    SELECT id, ended_at FROM evaluations
    WHERE ended_at < now() - %(age)s AND log IS NOT NULL
    ORDER BY ended_at
    LIMIT %(limit)s
)
UPDATE evaluations e SET log = NULL FROM old WHERE e.id = old.id;

-- name: old_reports
-- How many reports are old, and how large these are together.
SELECT count(*) AS entries, coalesce(sum(size_bytes), 0)::bigint AS size_bytes FROM (
    SELECT pg_column_size(payload) AS size_bytes FROM telemetry_reports
    WHERE received_at < now() - %(age)s
    UNION ALL
    SELECT pg_column_size(payload) FROM event_reports WHERE received_at < now() - %(age)s
) AS reports;

-- name: remove_old_telemetry
-- A bounded number of old reports, the oldest first: ids grow with time.
DELETE FROM telemetry_reports WHERE id IN (
    SELECT id FROM telemetry_reports WHERE received_at < now() - %(age)s
    ORDER BY id LIMIT %(limit)s
);

-- name: remove_old_events
-- The same for events.
DELETE FROM event_reports WHERE id IN (
    SELECT id FROM event_reports WHERE received_at < now() - %(age)s
    ORDER BY id LIMIT %(limit)s
);
