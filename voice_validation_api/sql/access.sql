-- name: grant_worker_access
-- Let the role of the workers call the functions of worker_api, and nobody else make objects.
-- Run whenever a program migrates; it writes only what is missing. Roles belong to the server and
-- not to a database: another database may create the same one at this moment.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    IF has_schema_privilege('public', current_schema(), 'CREATE') THEN
        EXECUTE 'REVOKE CREATE ON SCHEMA ' || quote_ident(current_schema()) || ' FROM PUBLIC';
    END IF;
    IF to_regrole('speech_worker') IS NULL THEN
        BEGIN
            CREATE ROLE speech_worker NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RETURN;
        END;
    END IF;
    IF NOT has_schema_privilege('speech_worker', 'worker_api', 'USAGE') THEN
        GRANT USAGE ON SCHEMA worker_api TO speech_worker;
    END IF;
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'worker_api'::regnamespace
            AND NOT has_function_privilege('speech_worker', oid, 'EXECUTE')
    LOOP
        EXECUTE 'GRANT EXECUTE ON FUNCTION ' || v_function || ' TO speech_worker';
    END LOOP;
END
$$;

-- name: may_migrate
-- Is this role the owner of the schema, or may it become so? Workers' roles are not and may not.
SELECT coalesce(
    (
        SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
        WHERE oid = to_regclass('schema_migrations')
    ),
    has_schema_privilege(current_schema(), 'CREATE'),
    false
) AS answer;

-- name: schema_version
-- The newest migration of the database, asked by a role that sees no table.
SELECT worker_api.schema_version() AS version;
