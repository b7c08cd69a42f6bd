-- Distances between neighbouring levels of morph continua, from the newest finished runs.
CREATE VIEW discrimination AS
SELECT *
FROM stored.discrimination
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'categorize'
    );
