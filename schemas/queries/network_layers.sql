-- The layers of one network in forward order: shape, units, MB of float32 activations per stimulus.
-- Parameter: $network.
WITH layers AS (
    SELECT
        unnest(from_json(layers, '[{"name": "VARCHAR", "shape": ["INTEGER"]}]')) AS layer,
        generate_subscripts(from_json(layers, '["JSON"]'), 1) AS place
    FROM networks
    WHERE network = $network
)

SELECT
    layer.name AS layer,
    array_to_string(layer.shape, ' x ') AS shape,
    list_product(layer.shape)::BIGINT AS units,
    list_product(layer.shape) * 4 / 1e6 AS mb_per_stimulus
FROM layers
ORDER BY place;
