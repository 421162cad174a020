-- Signed requests that were accepted, so that none is accepted twice, by whichever process.

CREATE TABLE report_nonces (
    hotkey text NOT NULL CHECK (length(hotkey) <= 64),
    nonce bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hotkey, nonce)
);

CREATE INDEX report_nonces_by_age ON report_nonces (stored_at);
