-- The stimuli to which some units respond most as they do to one stimulus, nearest first. Units of
-- which a response is not finite are left out.
-- Parameters:
-- - of_network, of_layer, of_stimulus_set: names of the network, the layer and the stimulus set
-- - of_stimulus: stimulus_id of the stimulus, which is left out of the result
-- - of_units: list of unit_ids
-- - how_many: number of rows to return; ties are in order of stimulus_id
-- Returns one row per stimulus:
-- - stimulus_id, identity, expression: the stimulus and what it shows
-- - distance: Euclidean distance between the units' responses to the two stimuli
CREATE MACRO nearest_stimuli(
    of_network, of_layer, of_stimulus_set, of_stimulus, of_units, how_many
) AS TABLE
WITH responses AS MATERIALIZED (
    SELECT
        unit_id,
        stimulus_id,
        activation::DOUBLE AS x
    FROM activations
    WHERE
        network = of_network
        AND layer = of_layer
        AND stimulus_set = of_stimulus_set
        AND unit_id IN of_units
    QUALIFY bool_and(isfinite(activation)) OVER (PARTITION BY unit_id)
),

distances AS (
    SELECT
        r.stimulus_id,
        sqrt(sum((r.x - o.x) ** 2)) AS distance
    FROM responses AS r
    INNER JOIN responses AS o ON r.unit_id = o.unit_id AND o.stimulus_id = of_stimulus
    WHERE r.stimulus_id <> of_stimulus
    GROUP BY r.stimulus_id
)

SELECT
    d.stimulus_id,
    s.identity,
    s.expression,
    d.distance
FROM distances AS d
INNER JOIN stimuli AS s
    ON d.stimulus_id = s.stimulus_id AND s.stimulus_set = of_stimulus_set
ORDER BY d.distance, d.stimulus_id
LIMIT how_many;
