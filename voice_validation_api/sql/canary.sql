-- name: known_canary_score
-- What a canary scores under a protocol; the first measurement is trusted.
SELECT * FROM worker_api.known_canary_score(
    %(worker_id)s, %(canary)s, %(protocol)s, %(score)s, %(wer)s, %(human_likeness)s
);

-- name: record_canary_check
-- How a worker's canary did.
SELECT worker_api.record_canary_check(
    %(worker_id)s, %(canary)s, %(verdict)s, %(protocol)s, %(score)s, %(seconds)s, %(detail)s
);

-- name: canary_checks
-- The newest check of every worker, those in trouble first.
SELECT worker_id, canary, verdict, protocol, score, seconds, detail, checked_at
FROM canary_checks
ORDER BY verdict = 'HEALTHY', checked_at DESC
LIMIT 1000;
