-- The newest finished run of each kind of analysis for each thing it was run on: the views of
-- results show the rows of these. A run is superseded by one of the same kind on the same network,
-- layer, sets, factor, choice of units and task; other parameters do not set two runs apart.
CREATE VIEW stored.newest_runs AS
WITH finished AS (
    SELECT
        run_id,
        any_value(kind) AS kind,
        any_value(parameters) AS parameters,
        min(started) AS started
    FROM stored.runs
    GROUP BY run_id
    HAVING max(seconds) IS NOT NULL
)

SELECT
    kind,
    parameters ->> 'network' AS network,
    parameters ->> 'layer' AS layer,
    parameters ->> 'stimulus_set' AS stimulus_set,
    parameters ->> 'test_set' AS test_set,
    parameters ->> 'morph_set' AS morph_set,
    parameters ->> 'units' AS units,
    parameters ->> 'two_way' AS two_way,
    coalesce(parameters ->> 'factor', 'expression') AS factor,
    parameters ->> 'name' AS name,
    arg_max(run_id, started) AS run_id
FROM finished
GROUP BY ALL;
