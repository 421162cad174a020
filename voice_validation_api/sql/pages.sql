-- name: page_state
-- What the pages show changes only when one of these does; cheap enough to be asked every second.
SELECT
    (SELECT count(*) FROM results WHERE competition_id = %(competition_id)s) AS scores,
    (SELECT max(evaluation_id) FROM results WHERE competition_id = %(competition_id)s) AS newest_score,
    (
        SELECT max(number) FROM rounds WHERE competition_id = %(competition_id)s AND state = 'CLOSED'
    ) AS newest_round,
    (
        SELECT max(recorded_at) FROM calibrations WHERE competition_id = %(competition_id)s
    ) AS newest_anchor,
    (SELECT max(id) FROM submissions) AS newest_submission,
    (SELECT max(id) FROM evaluations) AS newest_attempt,
    (SELECT max(ended_at) FROM evaluations WHERE ended_at IS NOT NULL) AS newest_end,
    (SELECT count(*) FROM submissions WHERE status = 'RUNNING') AS running,
    (SELECT count(*) FROM submissions WHERE status = 'QUEUED') AS queued,
    (
        SELECT count(*) FROM worker_presence WHERE seen_at > now() - interval '5 minutes'
    ) AS present,
    (
        SELECT count(*) FROM worker_presence WHERE ill AND seen_at > now() - interval '5 minutes'
    ) AS ill;

-- name: submissions_of_hotkey
-- A miner's newest submissions, each with its newest score.
SELECT
    s.id AS submission_id, s.competition_id, s.hotkey, s.namespace, s.name, s.revision, s.block,
    s.config_template, s.submission_hash, s.status, s.priority, s.failure_kind, s.failure_message,
    r.score, r.wer, r.human_likeness, s.created_at, s.updated_at
FROM (
    SELECT * FROM submissions
    WHERE hotkey = %(hotkey)s AND competition_id = %(competition_id)s
    ORDER BY block DESC, id DESC LIMIT 200
) AS s
LEFT JOIN LATERAL (
    SELECT * FROM results WHERE submission_id = s.id ORDER BY evaluation_id DESC LIMIT 1
) AS r ON true
ORDER BY s.block DESC, s.id DESC;

-- name: days_of_submissions
-- How much was submitted and scored on each of the last 90 days (UTC), oldest first.
WITH submitted AS (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS submissions
    FROM submissions
    WHERE competition_id = %(competition_id)s AND created_at > now() - interval '90 days'
    GROUP BY 1
),
scored AS (
    SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day, count(*) AS scores, max(score) AS best
    FROM results
    WHERE competition_id = %(competition_id)s AND protocol = %(protocol)s
        AND recorded_at > now() - interval '90 days'
    GROUP BY 1
)
SELECT
    day, coalesce(submitted.submissions, 0) AS submissions, coalesce(scored.scores, 0) AS scores,
    scored.best
FROM submitted FULL JOIN scored USING (day)
ORDER BY day;

-- name: best_of_rounds
-- The best score of each of the newest 200 published rounds, oldest first, and the best anchor that
-- was measured under the round's protocol.
SELECT
    newest.number, newest.ended_at, best.score, best.low, best.high,
    (
        SELECT max(score) FROM calibrations c
        WHERE c.competition_id = newest.competition_id AND c.protocol = newest.protocol
    ) AS anchor
FROM (
    SELECT * FROM rounds WHERE competition_id = %(competition_id)s AND state = 'CLOSED'
    ORDER BY number DESC LIMIT 200
) AS newest
JOIN LATERAL (
    SELECT score, low, high FROM results r
    WHERE r.competition_id = newest.competition_id AND r.protocol = newest.protocol
    ORDER BY score DESC, block, submission_id LIMIT 1
) AS best ON true
ORDER BY newest.number;

-- name: parts_of_field
-- How each part of the score is spread over the given submissions: least, quartiles, most.
SELECT
    part.key AS name,
    percentile_cont(ARRAY[0, 0.25, 0.5, 0.75, 1]) WITHIN GROUP (ORDER BY part.value::float) AS spread
FROM results r
CROSS JOIN LATERAL jsonb_each_text(r.details -> 'aggregate' -> 'components') AS part
WHERE r.submission_id = ANY (%(ids)s::bigint[]) AND r.protocol = %(protocol)s
GROUP BY part.key
ORDER BY part.key;

-- name: worst_samples
-- The samples behind the newest score of a submission, the worst first.
SELECT
    prompt_index, text, prompt, outcome, reason, audio, seconds, truncated, transcript, errors,
    wer, human_likeness, score, components, audio_digest, second_transcript
FROM samples
WHERE evaluation_id = (
    SELECT evaluation_id FROM results WHERE submission_id = %(submission_id)s
    ORDER BY evaluation_id DESC LIMIT 1
)
ORDER BY score NULLS FIRST, prompt_index
LIMIT %(limit)s OFFSET %(offset)s;
