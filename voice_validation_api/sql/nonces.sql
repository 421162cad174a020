-- name: store_nonce
-- Remember an accepted signature and forget some old ones. No row: it was accepted before.
WITH old AS (
    -- SKIP LOCKED: several processes forget at the same time.
    SELECT hotkey, nonce FROM report_nonces
    WHERE stored_at < now() - %(retention)s
    ORDER BY stored_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
),
forgotten AS (
    DELETE FROM report_nonces n USING old WHERE n.hotkey = old.hotkey AND n.nonce = old.nonce
)
INSERT INTO report_nonces (hotkey, nonce) VALUES (%(hotkey)s, %(nonce)s)
ON CONFLICT DO NOTHING;
