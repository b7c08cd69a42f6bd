-- Accuracy of each fold and shuffle, from the newest finished runs.
CREATE VIEW decoding AS
SELECT *
FROM stored.decoding
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'decode'
    );
