-- The stored tuning of a layer's selective units.
-- Parameters: $network, $layer, $stimulus_set.
SELECT
    unit_id,
    expression,
    tuning,
    preferred
FROM tuning
WHERE network = $network AND layer = $layer AND stimulus_set = $stimulus_set
ORDER BY expression, unit_id;
