-- name: ranking_version
-- Changes whenever a competition has a score more, or less, or publishes a round.
-- Evaluations end in another order than they begin, so the newest id alone does not tell.
SELECT
    count(*) AS scores, max(evaluation_id) AS newest,
    (
        SELECT max(number) FROM rounds WHERE competition_id = %(competition_id)s AND state = 'CLOSED'
    ) AS round
FROM results WHERE competition_id = %(competition_id)s;

-- name: ranking_order
-- The best submissions under one protocol, best first, as one row of arrays: that of the newest
-- published round, or while there is none that of the newest score.
WITH newest AS (
    SELECT coalesce(
        (
            SELECT protocol FROM rounds
            WHERE competition_id = %(competition_id)s AND state = 'CLOSED'
            ORDER BY number DESC LIMIT 1
        ),
        (
            SELECT protocol FROM results WHERE competition_id = %(competition_id)s
            ORDER BY evaluation_id DESC LIMIT 1
        )
    ) AS protocol
),
best AS (
    SELECT score, block, submission_id, low, high FROM results
    WHERE competition_id = %(competition_id)s AND protocol = (SELECT protocol FROM newest)
    ORDER BY score DESC, block, submission_id
    LIMIT %(limit)s
)
SELECT
    (SELECT protocol FROM newest) AS protocol,
    coalesce(array_agg(submission_id ORDER BY score DESC, block, submission_id), '{}') AS ids,
    coalesce(array_agg(low ORDER BY score DESC, block, submission_id), '{}') AS lows,
    coalesce(array_agg(high ORDER BY score DESC, block, submission_id), '{}') AS highs
FROM best;

-- name: ranked_submissions
-- The given submissions with their scores under a protocol, in the given order with given ranks.
SELECT
    wanted.rank, r.submission_id, r.competition_id, s.hotkey, s.namespace, s.name, s.revision,
    r.block, s.config_template, s.submission_hash, s.status, r.protocol, r.prompts_digest, r.score,
    r.low, r.high, r.wer, r.human_likeness, r.scored, r.unscored, r.recorded_at
FROM unnest(%(ids)s::bigint[], %(ranks)s::integer[])
    WITH ORDINALITY AS wanted (submission_id, rank, place)
JOIN results r ON r.submission_id = wanted.submission_id AND r.protocol = %(protocol)s
JOIN submissions s ON s.id = r.submission_id
ORDER BY wanted.place;
