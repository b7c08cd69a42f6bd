-- The units of a layer that `fexp select` was run on, whether selective, and the run.
-- Parameters: $network, $layer, $stimulus_set.
SELECT
    unit_id,
    selective,
    run_id
FROM selectivity
WHERE network = $network AND layer = $layer AND stimulus_set = $stimulus_set
ORDER BY unit_id;
