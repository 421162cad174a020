-- Canaries: what a fixed model is known to score, and how every worker's did last.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Deleting a row has the next worker's measurement trusted in its place.
CREATE TABLE canary_scores (
    canary text NOT NULL CHECK (length(canary) BETWEEN 1 AND 128),
    protocol text NOT NULL CHECK (protocol ~ '^[0-9a-f]{64}$'),
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    wer double precision NOT NULL CHECK (wer >= 0 AND wer < 'Infinity'),
    human_likeness double precision NOT NULL CHECK (human_likeness BETWEEN 0 AND 1),
    measured_by text NOT NULL CHECK (length(measured_by) BETWEEN 1 AND 128),
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (canary, protocol)
);

CREATE TYPE canary_verdict AS ENUM ('HEALTHY', 'DRIFTED', 'UNMEASURED');

CREATE TABLE canary_checks (
    worker_id text PRIMARY KEY CHECK (length(worker_id) BETWEEN 1 AND 128),
    canary text NOT NULL CHECK (length(canary) BETWEEN 1 AND 128),
    verdict canary_verdict NOT NULL,
    protocol text CHECK (protocol ~ '^[0-9a-f]{64}$'),
    score double precision CHECK (score BETWEEN 0 AND 1),
    seconds double precision CHECK (seconds >= 0 AND seconds < 'Infinity'),
    detail text NOT NULL CHECK (length(detail) <= 8000),
    checked_at timestamptz NOT NULL DEFAULT now()
);

-- The known score of a canary under a protocol. Where there is none, the caller's is trusted and
-- kept, in one statement: of workers that start together one is first and the others are held to it.
CREATE FUNCTION worker_api.known_canary_score(
    p_worker_id text, p_canary text, p_protocol text, p_score double precision,
    p_wer double precision, p_human_likeness double precision
) RETURNS TABLE (
    score double precision, wer double precision, human_likeness double precision,
    measured_by text, is_new boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_is_new boolean;
BEGIN
    INSERT INTO canary_scores AS known (
        canary, protocol, score, wer, human_likeness, measured_by
    )
    VALUES (p_canary, p_protocol, p_score, p_wer, p_human_likeness, p_worker_id)
    ON CONFLICT ON CONSTRAINT canary_scores_pkey DO NOTHING;
    v_is_new := FOUND;
    -- Protocols come and go; this many never live at one time.
    DELETE FROM canary_scores WHERE ctid IN (
        SELECT ctid FROM canary_scores ORDER BY measured_at DESC OFFSET 1000
    );
    RETURN QUERY
    SELECT k.score, k.wer, k.human_likeness, k.measured_by, v_is_new
    FROM canary_scores k WHERE k.canary = p_canary AND k.protocol = p_protocol;
END
$$;

-- How the canary of a worker did. Workers that are gone are forgotten after a month.
CREATE FUNCTION worker_api.record_canary_check(
    p_worker_id text, p_canary text, p_verdict text, p_protocol text, p_score double precision,
    p_seconds double precision, p_detail text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO canary_checks (worker_id, canary, verdict, protocol, score, seconds, detail)
    VALUES (
        p_worker_id, p_canary, p_verdict::canary_verdict, p_protocol, p_score, p_seconds, p_detail
    )
    ON CONFLICT (worker_id) DO UPDATE SET
        canary = excluded.canary, verdict = excluded.verdict, protocol = excluded.protocol,
        score = excluded.score, seconds = excluded.seconds, detail = excluded.detail,
        checked_at = now();
    DELETE FROM canary_checks
    WHERE checked_at < now() - interval '30 days' OR ctid IN (
        SELECT ctid FROM canary_checks ORDER BY checked_at DESC OFFSET 1000
    );
END
$$;
