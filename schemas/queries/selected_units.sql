-- The units of a layer in one run of `fexp select`. Parameters: $network, $layer, $run_id.
SELECT
    unit_id,
    selective,
    f_expression
FROM stored.selectivity
WHERE network = $network AND layer = $layer AND run_id = $run_id
ORDER BY unit_id;
