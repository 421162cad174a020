-- Attempts at evaluating a submission, and what came out of them.

CREATE TYPE attempt_outcome AS ENUM ('COMPLETED', 'FAILED', 'RETRIED', 'PARKED', 'HANDED_BACK');

CREATE TABLE evaluations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submission_id bigint NOT NULL REFERENCES submissions,
    fence bigint NOT NULL,
    worker_id text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    outcome attempt_outcome,
    failure_code text CHECK (length(failure_code) <= 64),
    detail text CHECK (length(detail) <= 8000),
    log text CHECK (length(log) <= 262144),
    UNIQUE (submission_id, fence),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
);

-- At most one active evaluation per submission.
CREATE UNIQUE INDEX evaluations_one_active ON evaluations (submission_id) WHERE ended_at IS NULL;

CREATE TABLE results (
    evaluation_id bigint PRIMARY KEY REFERENCES evaluations,
    submission_id bigint NOT NULL REFERENCES submissions,
    competition_id text NOT NULL,
    block bigint NOT NULL,
    protocol text NOT NULL CHECK (protocol ~ '^[0-9a-f]{64}$'),
    prompts_digest text NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    low double precision NOT NULL CHECK (low BETWEEN 0 AND 1),
    high double precision NOT NULL CHECK (high BETWEEN 0 AND 1),
    wer double precision NOT NULL CHECK (wer >= 0 AND wer < 'Infinity'),
    human_likeness double precision NOT NULL CHECK (human_likeness BETWEEN 0 AND 1),
    scored integer NOT NULL CHECK (scored >= 0),
    unscored integer NOT NULL CHECK (unscored >= 0),
    details jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    -- Scored once: whatever happens to workers, a second score under one protocol is refused.
    UNIQUE (submission_id, protocol)
);

-- The leaderboard is read in this order. Competition and block are copied here for it; neither
-- ever changes.
CREATE INDEX results_ranking ON results (competition_id, protocol, score DESC, block, submission_id);
CREATE INDEX results_newest ON results (competition_id, evaluation_id DESC);
CREATE INDEX results_of_submission ON results (submission_id, evaluation_id DESC);

CREATE TABLE samples (
    evaluation_id bigint NOT NULL REFERENCES results ON DELETE CASCADE,
    prompt_index integer NOT NULL CHECK (prompt_index >= 0),
    text text NOT NULL,
    prompt jsonb NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('scored', 'unscored')),
    reason text,
    audio text,
    audio_digest text CHECK (audio_digest ~ '^[0-9a-f]{64}$'),
    seconds double precision,
    truncated boolean NOT NULL,
    transcript text,
    second_transcript text,
    errors jsonb,
    wer double precision,
    human_likeness double precision,
    score double precision,
    components jsonb NOT NULL,
    PRIMARY KEY (evaluation_id, prompt_index)
);

CREATE TABLE calibrations (
    competition_id text NOT NULL,
    voice text NOT NULL CHECK (length(voice) BETWEEN 1 AND 64),
    -- What was asked for, protocol: what was measured with.
    request_digest text NOT NULL CHECK (request_digest ~ '^[0-9a-f]{64}$'),
    protocol text NOT NULL CHECK (protocol ~ '^[0-9a-f]{64}$'),
    prompts_digest text NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    low double precision NOT NULL CHECK (low BETWEEN 0 AND 1),
    high double precision NOT NULL CHECK (high BETWEEN 0 AND 1),
    wer double precision NOT NULL CHECK (wer >= 0 AND wer < 'Infinity'),
    human_likeness double precision NOT NULL CHECK (human_likeness BETWEEN 0 AND 1),
    scored integer NOT NULL,
    unscored integer NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (competition_id, voice, request_digest)
);
