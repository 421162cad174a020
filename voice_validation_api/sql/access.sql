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

-- name: worker_roles
-- The login roles of workers, each with the number of its sessions.
SELECT
    r.rolname,
    (SELECT count(*)::integer FROM pg_stat_activity AS a WHERE a.usename = r.rolname) AS sessions
FROM pg_roles r
JOIN pg_auth_members m ON m.member = r.oid
WHERE m.roleid = to_regrole(%(group)s) AND r.rolcanlogin
    AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb)
ORDER BY r.rolname;

-- name: worker_loopholes
-- What would take a right from workers that they have because everyone does.
SELECT 'REVOKE TEMPORARY ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC'
    AS statement
WHERE has_database_privilege(%(group)s, current_database(), 'TEMPORARY')
UNION ALL
SELECT 'REVOKE CREATE ON SCHEMA ' || quote_ident(nspname) || ' FROM PUBLIC'
FROM pg_namespace
WHERE has_schema_privilege(%(group)s, oid, 'CREATE');

-- name: end_sessions
-- End every session of a role.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %(name)s;
