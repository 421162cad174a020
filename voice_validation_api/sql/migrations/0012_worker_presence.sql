-- Which workers are there: each queue of a worker says so at every look at the queue.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE worker_presence (
    worker_id text PRIMARY KEY CHECK (length(worker_id) BETWEEN 1 AND 128),
    -- Its canary failed: it claims nothing.
    ill boolean NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- The worker is there. Written at most twice a minute, unless something has changed.
CREATE FUNCTION worker_api.record_presence(p_worker_id text, p_ill boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO worker_presence AS known (worker_id, ill) VALUES (p_worker_id, p_ill)
    ON CONFLICT (worker_id) DO UPDATE SET ill = excluded.ill, seen_at = now()
    WHERE known.ill <> excluded.ill OR known.seen_at < now() - interval '30 seconds';
    IF FOUND THEN
        DELETE FROM worker_presence
        WHERE seen_at < now() - interval '1 day' OR ctid IN (
            SELECT ctid FROM worker_presence ORDER BY seen_at DESC OFFSET 1000
        );
    END IF;
END
$$;

-- It has ended as it was told to.
CREATE FUNCTION worker_api.forget_presence(p_worker_id text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DELETE FROM worker_presence WHERE worker_id = p_worker_id
$$;
