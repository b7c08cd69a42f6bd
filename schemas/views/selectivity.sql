-- Selectivity of every unit, from the newest finished run for its network, layer and stimulus set.
CREATE VIEW selectivity AS
SELECT *
FROM stored.selectivity
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
        WHERE kind = 'select' AND factor = 'expression'
    );
