-- The newest finished run of each analysis, for each network, layer and stimulus set.
CREATE VIEW stored.newest_results AS
WITH finished AS (
    SELECT
        run_id,
        min(started) AS started
    FROM stored.runs
    GROUP BY run_id
    HAVING max(seconds) IS NOT NULL
)

SELECT
    r.table_name,
    r.network,
    r.layer,
    r.stimulus_set,
    arg_max(r.run_id, f.started) AS run_id
FROM stored.files AS r
INNER JOIN finished AS f USING (run_id)
GROUP BY ALL;
