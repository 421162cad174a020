-- name: uncompared_sketches
-- Sketches that were not held against the others yet, oldest submissions first.
SELECT submission_id, weights, behaviour FROM sketches
WHERE competition_id = %(competition_id)s AND NOT compared
ORDER BY submission_id LIMIT 100;

-- name: comparable_sketches
-- The sketches that answer the same questions about the same base model; newest first, so that the
-- limit leaves out what is long over.
SELECT submission_id, weights, behaviour FROM sketches
WHERE competition_id = %(competition_id)s
    AND weights ->> 'base_digest' = %(base_digest)s AND weights -> 'version' = %(version)s::jsonb
ORDER BY submission_id DESC LIMIT 20000;

-- name: insert_copies
-- Near copies that were found; what is there already stays.
INSERT INTO copies (submission_id, other_id, confirmed, reason, evidence) VALUES %s
ON CONFLICT DO NOTHING;

-- name: sketch_compared
-- It was held against all others.
UPDATE sketches SET compared = true WHERE submission_id = %(submission_id)s;

-- name: near_copies
-- The confirmed near copies of some submissions, with what a standing must tell of the other: those
-- of first priority first. The coldkey is that of the newest round it was in.
SELECT
    pair.submission_id, other.id AS other_id, other.hotkey, entry.coldkey, other.pinned_block,
    CASE
        WHEN other.committed_digest = other.weights_digest
            THEN coalesce(other.sealed_block, other.block)
        ELSE other.pinned_block
    END AS priority_block,
    pair.reason
FROM (
    SELECT submission_id, other_id, reason FROM copies WHERE confirmed
    UNION ALL
    SELECT other_id, submission_id, reason FROM copies WHERE confirmed
) AS pair
JOIN submissions other ON other.id = pair.other_id
JOIN LATERAL (
    SELECT coldkey FROM round_entries
    WHERE submission_id = other.id ORDER BY number DESC LIMIT 1
) AS entry ON true
WHERE pair.submission_id = ANY (%(ids)s::bigint[]) AND other.pinned_block IS NOT NULL
ORDER BY pair.submission_id, priority_block, other.pinned_block, other.id;
