-- The stimuli that drive one unit most, over all sets that are stored for its layer, strongest
-- first. Responses that are not finite are left out.
-- Parameters:
-- - of_network, of_layer: names of the network and the layer
-- - of_unit: unit_id
-- - how_many: number of rows to return; ties are in order of set and stimulus
-- Returns one row per stimulus:
-- - stimulus_set, stimulus_id: the stimulus
-- - activation: response of the unit to it
-- - identity, expression: what it shows

-- All responses of the unit are read before any is dropped: told of the limit, a scan is slower.
CREATE MACRO top_stimuli(of_network, of_layer, of_unit, how_many) AS TABLE
WITH responses AS MATERIALIZED (
    SELECT
        stimulus_set,
        stimulus_id,
        activation
    FROM activations
    WHERE
        network = of_network
        AND layer = of_layer
        AND unit_id = of_unit
)

SELECT
    r.stimulus_set,
    r.stimulus_id,
    r.activation,
    s.identity,
    s.expression
FROM responses AS r
INNER JOIN stimuli AS s USING (stimulus_set, stimulus_id)
WHERE isfinite(r.activation)
ORDER BY r.activation DESC, r.stimulus_set, r.stimulus_id
LIMIT how_many;
