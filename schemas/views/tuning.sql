-- Tuning of selective units, from the newest finished `fexp tune` of each layer and stimulus set.
CREATE VIEW tuning AS
SELECT *
FROM stored.tuning
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'tune'
    );
