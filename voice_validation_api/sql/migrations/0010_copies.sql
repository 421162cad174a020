-- How submissions differ from the base model, and which are near copies of others.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE sketches (
    submission_id bigint PRIMARY KEY REFERENCES submissions,
    competition_id text NOT NULL,
    -- scoring.contract.Sketch, of the weights and of the behaviour.
    weights jsonb NOT NULL CHECK (pg_column_size(weights) <= 8192),
    behaviour jsonb NOT NULL CHECK (pg_column_size(behaviour) <= 8192),
    -- Held against all others since it was recorded.
    compared boolean NOT NULL DEFAULT false,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sketches_uncompared ON sketches (competition_id, submission_id) WHERE NOT compared;
CREATE INDEX sketches_comparable ON sketches (
    competition_id, (weights ->> 'base_digest'), (weights -> 'version')
);

-- Pairs of submissions with almost the same weights; the smaller id first. Who of the two is the
-- original follows from the rules of the competition.
CREATE TABLE copies (
    submission_id bigint NOT NULL REFERENCES sketches,
    other_id bigint NOT NULL REFERENCES sketches,
    -- They also behave alike; without that nobody is held.
    confirmed boolean NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    evidence jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (submission_id, other_id),
    CHECK (submission_id < other_id)
);
CREATE INDEX copies_of_other ON copies (other_id);

-- The worker hands sketches in with the score. They are kept apart from it: whoever reads a score
-- does not need them.
CREATE FUNCTION keep_sketches() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_weights jsonb := NEW.details #> '{synthesiser,sketch}';
    v_behaviour jsonb := NEW.details #> '{synthesiser,behaviour}';
BEGIN
    NEW.details := NEW.details #- '{synthesiser,sketch}' #- '{synthesiser,behaviour}';
    IF jsonb_typeof(v_weights) = 'object' AND jsonb_typeof(v_behaviour) = 'object' THEN
        INSERT INTO sketches (submission_id, competition_id, weights, behaviour)
        VALUES (NEW.submission_id, NEW.competition_id, v_weights, v_behaviour)
        ON CONFLICT (submission_id) DO UPDATE
        SET weights = excluded.weights, behaviour = excluded.behaviour, compared = false,
            recorded_at = now()
        -- Its weights are pinned: only another base model or other questions give another sketch.
        WHERE sketches.weights ->> 'base_digest' <> excluded.weights ->> 'base_digest'
            OR sketches.weights -> 'version' <> excluded.weights -> 'version';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER results_sketches BEFORE INSERT ON results
FOR EACH ROW EXECUTE FUNCTION keep_sketches();
REVOKE EXECUTE ON FUNCTION keep_sketches() FROM PUBLIC;
