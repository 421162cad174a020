-- name: newest_result
-- The newest score of a submission, or its newest on these prompts: each round has its own.
SELECT
    evaluation_id, submission_id, protocol, prompts_digest, score, low, high, wer, human_likeness,
    scored, unscored, details, recorded_at
FROM results
WHERE submission_id = %(submission_id)s
    AND (%(prompts_digest)s::text IS NULL OR prompts_digest = %(prompts_digest)s)
ORDER BY evaluation_id DESC
LIMIT 1;

-- name: protocol_record
-- What a protocol consists of.
SELECT record FROM protocols WHERE digest = %(digest)s;

-- name: samples_of_submission
-- The samples behind the newest score of a submission, or behind its newest on these prompts.
SELECT
    prompt_index, text, prompt, outcome, reason, audio, seconds, truncated, transcript, errors,
    wer, human_likeness, score, components, audio_digest, second_transcript
FROM samples
WHERE evaluation_id = (
    SELECT evaluation_id FROM results
    WHERE submission_id = %(submission_id)s
        AND (%(prompts_digest)s::text IS NULL OR prompts_digest = %(prompts_digest)s)
    ORDER BY evaluation_id DESC LIMIT 1
)
ORDER BY prompt_index
LIMIT %(limit)s OFFSET %(offset)s;

-- name: sample_of_submission
-- The sample of one prompt behind the newest score of a submission, or its newest on these prompts.
SELECT
    prompt_index, text, prompt, outcome, reason, audio, seconds, truncated, transcript, errors,
    wer, human_likeness, score, components, audio_digest, second_transcript
FROM samples
WHERE prompt_index = %(prompt_index)s AND evaluation_id = (
    SELECT evaluation_id FROM results
    WHERE submission_id = %(submission_id)s
        AND (%(prompts_digest)s::text IS NULL OR prompts_digest = %(prompts_digest)s)
    ORDER BY evaluation_id DESC LIMIT 1
);

-- name: calibrations
-- The newest anchors, best first.
SELECT
    competition_id, voice, request_digest, protocol, prompts_digest, score, low, high, wer,
    human_likeness, scored, unscored, recorded_at
FROM calibrations
WHERE competition_id = %(competition_id)s
ORDER BY recorded_at DESC, score DESC
LIMIT 100;
