-- Correlations of confusion matrices with those in responses, from the newest finished runs.
CREATE VIEW similarity AS
SELECT *
FROM stored.similarity
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'confuse'
    );
