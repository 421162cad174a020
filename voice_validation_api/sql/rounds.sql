-- name: unpinned_submissions
-- What was pinned since the keeper looked last.
SELECT id FROM submissions WHERE pinned_block IS NULL ORDER BY id LIMIT 10000;

-- name: pin_submissions
-- They had been pinned when this block was final.
UPDATE submissions SET pinned_block = %(block)s
WHERE id = ANY (%(ids)s::bigint[]) AND pinned_block IS NULL;

-- name: running_round
-- The round that is not over.
SELECT competition_id, number, state, start_block, seed_block, end_block, seed_block_hash, seed,
    opened_at
FROM rounds WHERE competition_id = %(competition_id)s AND state IN ('OPEN', 'SCORING');

-- name: newest_round
-- The number of the last round, whatever became of it.
SELECT max(number) AS number FROM rounds WHERE competition_id = %(competition_id)s;

-- name: published_rounds
-- The newest published rounds whole, newest first.
SELECT number, digest, published FROM rounds
WHERE competition_id = %(competition_id)s AND state = 'CLOSED'
ORDER BY number DESC LIMIT %(limit)s;

-- name: round_candidates
-- Admitted submissions that no round has scored yet, with the evidence that a round must publish.
SELECT id AS submission_id, hotkey, block AS commit_block, pinned_block
FROM submissions
WHERE competition_id = %(competition_id)s AND scored_round IS NULL
    AND status IN ('QUEUED', 'COMPLETED') AND pinned_block < %(start_block)s
    AND commitment IS NOT NULL AND block_hash IS NOT NULL
ORDER BY id LIMIT 100000;

-- name: round_absentees
-- Scored before, and missing at the start of the last rounds, though not too often: they may
-- return.
SELECT id AS submission_id FROM submissions
WHERE competition_id = %(competition_id)s AND scored_round IS NOT NULL
    AND misses BETWEEN 1 AND %(allowed)s - 1
ORDER BY id LIMIT 1000;

-- name: drawn_submissions
-- What the keeper needs of those that it draws.
SELECT id AS submission_id, hotkey, namespace, name, revision, status, misses, scored_round
FROM submissions WHERE id = ANY (%(ids)s::bigint[]) ORDER BY id;

-- name: insert_round
-- A new round, OPEN. The primary key refuses a second one of that number, an index a second one
-- that is not over.
INSERT INTO rounds (competition_id, number, start_block, seed_block, end_block)
VALUES (%(competition_id)s, %(number)s, %(start_block)s, %(seed_block)s, %(end_block)s);

-- name: insert_round_entries
-- Who takes part; many rows at once.
INSERT INTO round_entries (competition_id, number, submission_id, coldkey, absence) VALUES %s;

-- name: queue_entries
-- Draw the entries that are there into the round. Parked ones get another chance.
UPDATE submissions s
SET status = 'QUEUED', round = e.number, priority = 'NORMAL', attempts = 0, not_before = now(),
    misses = 0, updated_at = now()
FROM round_entries e
WHERE e.competition_id = %(competition_id)s AND e.number = %(number)s AND e.absence IS NULL
    AND s.id = e.submission_id AND s.status IN ('QUEUED', 'COMPLETED');

-- name: count_misses
-- The pinned revisions of these entries were gone.
UPDATE submissions s SET misses = misses + 1, round = e.number, updated_at = now()
FROM round_entries e
WHERE e.competition_id = %(competition_id)s AND e.number = %(number)s AND e.absence IS NOT NULL
    AND s.id = e.submission_id;

-- name: withhold_submissions
-- Whatever waits and is not drawn into a round that scores is not claimed: the first round may
-- open while submissions that know of none are still coming in.
UPDATE submissions s SET ready = false
WHERE s.competition_id = %(competition_id)s AND s.status = 'QUEUED' AND s.ready
    AND EXISTS (SELECT FROM rounds WHERE competition_id = %(competition_id)s)
    AND NOT EXISTS (
        SELECT FROM rounds r
        WHERE r.competition_id = s.competition_id AND r.number = s.round AND r.state = 'SCORING'
    );

-- name: seed_round
-- OPEN -> SCORING. No row: somebody else did.
UPDATE rounds SET state = 'SCORING', seed_block_hash = %(seed_block_hash)s, seed = %(seed)s
WHERE competition_id = %(competition_id)s AND number = %(number)s AND state = 'OPEN';

-- name: release_entries
-- The entries of a round that scores may be claimed.
UPDATE submissions SET ready = true
WHERE competition_id = %(competition_id)s AND round = %(number)s AND status = 'QUEUED';

-- name: wake_workers
-- Some submissions may be claimed that could not before.
NOTIFY submission_queued;

-- name: entries_of_round
-- Every entry with its submission, its newest score under the round's seed, and how many of the
-- hotkey's later commitments there are.
SELECT
    s.id AS submission_id, s.hotkey, e.coldkey, e.absence, s.namespace, s.name, s.revision,
    s.block, s.block_hash, s.commitment, s.sealed_block, s.pinned_block, s.committed_digest,
    s.weights_digest, s.status, s.priority, s.misses, s.failure_message,
    r.evaluation_id, r.protocol, r.prompts_digest, r.score, r.low, r.high, r.wer, r.human_likeness,
    (
        SELECT min(later.block) FROM submissions later
        WHERE later.hotkey = s.hotkey AND later.competition_id = s.competition_id
            AND later.block > s.block
    ) AS superseded_block,
    (
        SELECT array_agg(
            CASE WHEN p.outcome = 'scored' THEN p.score END ORDER BY p.prompt_index
        )
        FROM samples p WHERE p.evaluation_id = r.evaluation_id
    ) AS prompt_scores
FROM round_entries e
JOIN rounds o ON o.competition_id = e.competition_id AND o.number = e.number
JOIN submissions s ON s.id = e.submission_id
LEFT JOIN LATERAL (
    SELECT results.* FROM results
    JOIN evaluations v ON v.id = results.evaluation_id
    WHERE results.submission_id = s.id AND v.started_at >= o.opened_at
    ORDER BY results.evaluation_id DESC LIMIT 1
) AS r ON e.absence IS NULL
WHERE e.competition_id = %(competition_id)s AND e.number = %(number)s
ORDER BY s.id;

-- name: take_back_entries
-- Active -> QUEUED: the round is over. Whoever evaluates one of them loses the claim.
WITH taken AS (
    UPDATE submissions
    SET status = 'QUEUED', worker_id = NULL, lease_expires_at = NULL, updated_at = now(),
        attempts = greatest(attempts - 1, 0)
    WHERE competition_id = %(competition_id)s AND round = %(number)s
        AND status IN ('PRECHECK', 'RUNNING')
    RETURNING id, fence
)
UPDATE evaluations e
SET ended_at = now(), outcome = 'HANDED_BACK', detail = 'the round ended', log = ''
FROM taken WHERE e.submission_id = taken.id AND e.fence = taken.fence AND e.ended_at IS NULL;

-- name: withdraw_entries
-- What is still queued waits for the next round.
UPDATE submissions SET ready = false
WHERE competition_id = %(competition_id)s AND round = %(number)s AND status = 'QUEUED';

-- name: mark_scored
-- These have a score in the published round.
UPDATE submissions SET scored_round = %(number)s WHERE id = ANY (%(ids)s::bigint[]);

-- name: close_round
-- SCORING -> CLOSED, for ever. No row: somebody else did.
UPDATE rounds
SET state = 'CLOSED', closed_block = %(closed_block)s, protocol = %(protocol)s,
    digest = %(digest)s, published = %(published)s, weights = %(weights)s, ended_at = now()
WHERE competition_id = %(competition_id)s AND number = %(number)s AND state = 'SCORING';

-- name: void_round
-- OPEN or SCORING -> VOID: nobody has a score. No row: somebody else ended it.
UPDATE rounds SET state = 'VOID', ended_at = now()
WHERE competition_id = %(competition_id)s AND number = %(number)s
    AND state IN ('OPEN', 'SCORING');

-- name: listed_rounds
-- Rounds, newest first. A seed is told as soon as it is known: so is its block's hash.
SELECT
    number, state, start_block, seed_block, end_block, seed, closed_block, digest, opened_at,
    ended_at
FROM rounds WHERE competition_id = %(competition_id)s
ORDER BY number DESC LIMIT %(limit)s OFFSET %(offset)s;

-- name: published_round
-- One published round, byte for byte.
SELECT number, digest, published FROM rounds
WHERE competition_id = %(competition_id)s AND number = %(number)s AND state = 'CLOSED';

-- name: newest_weights
-- What followed from all rounds when the newest one closed.
SELECT number, weights::text AS weights FROM rounds
WHERE competition_id = %(competition_id)s AND state = 'CLOSED'
ORDER BY number DESC LIMIT 1;
