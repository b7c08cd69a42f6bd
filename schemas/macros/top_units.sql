-- The units of a layer that respond most to one stimulus, strongest first. Responses that are not
-- finite are left out.
-- Parameters:
-- - of_network, of_layer, of_stimulus_set: names of the network, the layer and the stimulus set
-- - of_stimulus: stimulus_id
-- - how_many: number of rows to return; ties are in order of unit_id
-- Returns one row per unit:
-- - unit_id, activation: the unit and its response
-- - channel, row, col, token, dim: where it lies in the layer's output; null for what the layer has
--   no axis for
CREATE MACRO top_units(of_network, of_layer, of_stimulus_set, of_stimulus, how_many) AS TABLE
WITH responses AS (
    SELECT
        unit_id,
        activation
    FROM activations
    WHERE
        network = of_network
        AND layer = of_layer
        AND stimulus_set = of_stimulus_set
        AND stimulus_id = of_stimulus
        AND isfinite(activation)
    ORDER BY activation DESC, unit_id
    LIMIT how_many
)

SELECT
    r.unit_id,
    r.activation,
    u.channel,
    u.row,
    u.col,
    u.token,
    u.dim
FROM responses AS r
LEFT JOIN units AS u
    ON r.unit_id = u.unit_id AND u.network = of_network AND u.layer = of_layer
ORDER BY r.activation DESC, r.unit_id;
