-- Accuracy over resampled test images, from the newest finished runs.
CREATE VIEW generalisation AS
SELECT *
FROM stored.generalisation
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'confuse'
    );
