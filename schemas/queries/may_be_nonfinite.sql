-- Sets for which a layer has activations that are not finite, or of which nobody has counted them.
-- Parameters: $network, $layer, $stimulus_sets (list).
SELECT DISTINCT stimulus_set
FROM fragments
WHERE
    network = $network
    AND layer = $layer
    AND stimulus_set IN $stimulus_sets
    AND (nonfinite IS NULL OR nonfinite > 0)
ORDER BY stimulus_set;
