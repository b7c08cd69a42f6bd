-- Selectivity of every unit, from the newest finished run for its network, layer and stimulus set.
CREATE VIEW selectivity AS
WITH finished AS (
    SELECT
        run_id,
        min(started) AS started
    FROM stored.runs
    GROUP BY run_id
    HAVING max(seconds) IS NOT NULL
),

newest AS (
    SELECT
        r.network,
        r.layer,
        r.stimulus_set,
        arg_max(r.run_id, f.started) AS run_id
    FROM stored.files AS r
    INNER JOIN finished AS f USING (run_id)
    WHERE r.table_name = 'results/selectivity'
    GROUP BY ALL
)

SELECT s.*
FROM stored.selectivity AS s
WHERE s.run_id IN (SELECT run_id FROM newest);
