-- The queue stays quick however many submissions are finished.

-- Every claim leaves dead entries at the front of the queue's index. By default they would be
-- cleared once a fifth of all submissions there ever were has changed.
ALTER TABLE submissions SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 1000
);
ALTER TABLE evaluations SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01, autovacuum_analyze_threshold = 1000
);
