-- All that a score depends on besides the model, by the digest that every score carries.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE protocols (
    digest text PRIMARY KEY,
    -- Canonical JSON: a record that names itself cannot be another's, whoever hands it in.
    record text NOT NULL CHECK (
        length(record) <= 65536 AND digest = encode(sha256(convert_to(record, 'UTF8')), 'hex')
    ),
    recorded_at timestamptz NOT NULL DEFAULT now()
);

-- The worker hands the record in with the score. One that is not of the score's protocol is dropped.
CREATE FUNCTION keep_protocol() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_record text := NEW.details ->> 'protocol';
BEGIN
    NEW.details := NEW.details - 'protocol';
    IF length(v_record) <= 65536
        AND NEW.protocol = encode(sha256(convert_to(v_record, 'UTF8')), 'hex') THEN
        INSERT INTO protocols (digest, record) VALUES (NEW.protocol, v_record)
        ON CONFLICT (digest) DO NOTHING;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER results_protocol BEFORE INSERT ON results
FOR EACH ROW EXECUTE FUNCTION keep_protocol();
REVOKE EXECUTE ON FUNCTION keep_protocol() FROM PUBLIC;
