-- The same for identity: units of the newest `fexp select --factor identity` of each layer and set.
CREATE VIEW identity_selectivity AS
SELECT *
FROM stored.identity_selectivity
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'select' AND factor = 'identity'
    );
