-- What operators do to single submissions, and what metrics and retention read.

CREATE TYPE operator_action AS ENUM ('REQUEUED', 'OVERTURNED');

-- The audit trail of scripts/requeue.py.
CREATE TABLE operator_actions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submission_id bigint NOT NULL REFERENCES submissions,
    action operator_action NOT NULL,
    -- Whose words these are, and as which database role.
    operator text NOT NULL CHECK (length(operator) BETWEEN 1 AND 128),
    role text NOT NULL DEFAULT session_user,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    -- What the action took from the submission.
    attempts integer NOT NULL,
    failure_code text,
    failure_message text,
    acted_at timestamptz NOT NULL DEFAULT now(),
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX operator_actions_of_submission ON operator_actions (submission_id);

-- FAILED -> QUEUED, for a submission that was wrongly blamed: only in the transaction that records
-- who overturned it and why. Everything else is refused as before.
CREATE OR REPLACE FUNCTION refuse_submission_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.status = 'FAILED' AND NEW.status = 'QUEUED' AND EXISTS (
            SELECT FROM operator_actions
            WHERE submission_id = NEW.id AND action = 'OVERTURNED'
                AND transaction_id = pg_current_xact_id()
        ) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'submission %: no transition % -> %', NEW.id,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status::text ELSE '(new)' END, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'submissions_transition';
END
$$;

-- For metrics (the last hour) and retention (older than so many days).
CREATE INDEX evaluations_ended ON evaluations (ended_at) WHERE ended_at IS NOT NULL;
