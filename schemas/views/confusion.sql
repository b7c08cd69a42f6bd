-- How often each expression was answered with each, from the newest finished runs.
CREATE VIEW confusion AS
SELECT *
FROM stored.confusion
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'confuse'
    );
