-- name: newest_result
-- The newest score of a submission.
SELECT
    evaluation_id, submission_id, protocol, prompts_digest, score, low, high, wer, human_likeness,
    scored, unscored, details, recorded_at
FROM results WHERE submission_id = %(submission_id)s
ORDER BY evaluation_id DESC
LIMIT 1;

-- name: samples_of_submission
-- The samples behind the newest score of a submission.
SELECT
    prompt_index, text, prompt, outcome, reason, audio, seconds, truncated, transcript, errors,
    wer, human_likeness, score, components, audio_digest, second_transcript
FROM samples
WHERE evaluation_id = (
    SELECT evaluation_id FROM results WHERE submission_id = %(submission_id)s
    ORDER BY evaluation_id DESC LIMIT 1
)
ORDER BY prompt_index
LIMIT %(limit)s OFFSET %(offset)s;

-- name: sample_of_submission
-- The sample of one prompt behind the newest score of a submission.
SELECT
    prompt_index, text, prompt, outcome, reason, audio, seconds, truncated, transcript, errors,
    wer, human_likeness, score, components, audio_digest, second_transcript
FROM samples
WHERE prompt_index = %(prompt_index)s AND evaluation_id = (
    SELECT evaluation_id FROM results WHERE submission_id = %(submission_id)s
    ORDER BY evaluation_id DESC LIMIT 1
);

-- name: leaderboard
-- The ranking under the protocol of the newest score: scores of different protocols never mix.
SELECT
    %(offset)s + row_number() OVER (ORDER BY r.score DESC, r.block, r.submission_id) AS rank,
    r.submission_id, r.competition_id, s.hotkey, s.namespace, s.name, s.revision, r.block,
    s.config_template, s.submission_hash, s.status, r.protocol, r.prompts_digest, r.score, r.low,
    r.high, r.wer, r.human_likeness, r.scored, r.unscored, r.recorded_at
FROM (
    -- In the order of the index results_ranking, so that a page reads no more than its rows.
    SELECT * FROM results
    WHERE competition_id = %(competition_id)s AND protocol = (
        SELECT protocol FROM results WHERE competition_id = %(competition_id)s
        ORDER BY evaluation_id DESC LIMIT 1
    )
    ORDER BY score DESC, block, submission_id
    LIMIT %(limit)s OFFSET %(offset)s
) AS r
JOIN submissions s ON s.id = r.submission_id
ORDER BY rank;

-- name: calibrations
-- The newest anchors, best first.
SELECT
    competition_id, voice, request_digest, protocol, prompts_digest, score, low, high, wer,
    human_likeness, scored, unscored, recorded_at
FROM calibrations
WHERE competition_id = %(competition_id)s
ORDER BY recorded_at DESC, score DESC
LIMIT 100;
