-- How do units tuned to the ends of a morph continuum respond along it?
-- Parameters: $network, $layer, $stimulus_set (that units were tuned on), $morphs (a set with
-- morph levels), $morph_from and $morph_to. Needs `fexp tune` and the morphs' activations.
-- One row per level: mean response of units that prefer the first and the second expression.
-- Lines that cross halfway and are straight mean a graded code; a step means a categorical one.
WITH tuned AS (
    SELECT DISTINCT
        unit_id,
        preferred
    FROM tuning
    WHERE
        network = $network
        AND layer = $layer
        AND stimulus_set = $stimulus_set
        AND preferred IN ($morph_from, $morph_to)
)

SELECT
    m.morph_level,
    count(DISTINCT a.stimulus_id) AS stimuli,
    avg(a.activation::DOUBLE) FILTER (t.preferred = $morph_from) AS units_of_first,
    avg(a.activation::DOUBLE) FILTER (t.preferred = $morph_to) AS units_of_second
FROM activations AS a
INNER JOIN stimuli AS m USING (stimulus_set, stimulus_id)
INNER JOIN tuned AS t USING (unit_id)
WHERE
    a.network = $network
    AND a.layer = $layer
    AND a.stimulus_set = $morphs
    AND m.morph_from = $morph_from
    AND m.morph_to = $morph_to
GROUP BY m.morph_level
ORDER BY m.morph_level;
