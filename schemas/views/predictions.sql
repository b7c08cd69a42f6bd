-- What a classifier answered to each image, from the newest finished runs.
CREATE VIEW predictions AS
SELECT *
FROM stored.predictions
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind IN ('decode', 'confuse')
    );
