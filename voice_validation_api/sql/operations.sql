-- name: service_state
-- Everything that metrics tell about the service, in one row.
SELECT
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED' AND priority = 'NORMAL') AS waiting,
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED' AND priority = 'RETRY') AS retrying,
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED' AND priority = 'PARKED') AS parked,
    (SELECT count(*) FROM submissions WHERE status = 'PRECHECK') AS precheck,
    (SELECT count(*) FROM submissions WHERE status = 'RUNNING') AS running,
    (SELECT count(*) FROM submissions WHERE status = 'COMPLETED') AS completed,
    (SELECT count(*) FROM submissions WHERE status = 'FAILED') AS failed,
    (SELECT count(*) FROM results) AS results,
    -- Since when it could have been claimed: its admission, its return, or the end of its pause.
    (
        SELECT coalesce(greatest(0, extract(epoch FROM
            now() - min(greatest(updated_at, not_before)))), 0)
        FROM submissions WHERE status = 'QUEUED' AND priority < 'PARKED'
    )::double precision AS oldest_waiting_seconds,
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
    ) AS voices;
