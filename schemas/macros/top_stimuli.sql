-- The stimuli that drive one unit most, over all sets that are stored for its layer.
-- Parameters: network, layer, unit_id and how many to return. Ties are in order of set and
-- stimulus.
CREATE MACRO top_stimuli(of_network, of_layer, of_unit, how_many) AS TABLE
SELECT
    a.stimulus_set,
    a.stimulus_id,
    a.activation,
    s.identity,
    s.expression
FROM activations AS a
INNER JOIN stimuli AS s USING (stimulus_set, stimulus_id)
WHERE
    a.network = of_network
    AND a.layer = of_layer
    AND a.unit_id = of_unit
ORDER BY a.activation DESC, a.stimulus_set, a.stimulus_id
LIMIT how_many;
