-- name: insert_telemetry_report
-- What a validator says about itself.
INSERT INTO telemetry_reports (
    uid, hotkey, coldkey, git_commit, bittensor_version, signed, payload
) VALUES (
    %(uid)s, %(hotkey)s, %(coldkey)s, %(git_commit)s, %(bittensor_version)s, %(signed)s, %(payload)s
);

-- name: insert_event_report
-- What a validator saw.
INSERT INTO event_reports (
    uid, hotkey, coldkey, git_commit, bittensor_version, signed, payload
) VALUES (
    %(uid)s, %(hotkey)s, %(coldkey)s, %(git_commit)s, %(bittensor_version)s, %(signed)s, %(payload)s
);

-- name: clear_minerboard
-- Make room for the operator's new list.
DELETE FROM minerboard WHERE competition_id = %(competition_id)s;

-- name: insert_minerboard
-- The operator's list of miners; many rows at once.
INSERT INTO minerboard (competition_id, uid, hotkey, submission_hash, block, details) VALUES %s;

-- name: upsert_minerboard_entry
-- One miner's entry.
INSERT INTO minerboard (competition_id, uid, hotkey, submission_hash, block, details)
VALUES (
    %(competition_id)s, %(uid)s, %(hotkey)s, %(submission_hash)s, %(block)s, %(details)s
)
ON CONFLICT (competition_id, uid) DO UPDATE SET
    hotkey = excluded.hotkey, submission_hash = excluded.submission_hash,
    block = excluded.block, details = excluded.details, updated_at = now();

-- name: minerboard
-- The operator's list, each beside the newest submission under its hash and hotkey.
SELECT
    m.competition_id, m.uid, m.hotkey, m.submission_hash, m.block, m.details, s.status, r.score,
    m.updated_at
FROM (
    SELECT * FROM minerboard
    WHERE competition_id = %(competition_id)s
    ORDER BY uid
    LIMIT %(limit)s OFFSET %(offset)s
) AS m
LEFT JOIN LATERAL (
    SELECT id, status FROM submissions
    WHERE submission_hash = m.submission_hash AND competition_id = m.competition_id
        AND hotkey = m.hotkey
    ORDER BY block DESC, id DESC LIMIT 1
) AS s ON true
LEFT JOIN LATERAL (
    SELECT score FROM results WHERE submission_id = s.id ORDER BY evaluation_id DESC LIMIT 1
) AS r ON true
ORDER BY m.uid;
