-- Tests between networks, from the newest finished runs.
CREATE VIEW comparison AS
SELECT *
FROM stored.comparison
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'compare'
    );
