-- Curves fitted to identification, from the newest finished runs.
CREATE VIEW categorical_fit AS
SELECT *
FROM stored.categorical_fit
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'categorize'
    );
