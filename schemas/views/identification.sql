-- Identification curves of morph continua, from the newest finished runs.
CREATE VIEW identification AS
SELECT *
FROM stored.identification
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'categorize'
    );
