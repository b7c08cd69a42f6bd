-- Paired tests between fitted models, from the newest finished runs.
CREATE VIEW fit_tests AS
SELECT *
FROM stored.fit_tests
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'categorize'
    );
