-- The layers of one network in forward order: shape, axes, leading tokens, units, and MB of float32
-- activations per stimulus. axes is null where nothing tells; tokens where there are none.
-- Parameter: $network.
WITH layers AS (
    SELECT
        unnest(
            from_json(
                layers,
                '[{
                    "name": "VARCHAR", "shape": ["INTEGER"], "axes": ["VARCHAR"],
                    "class_tokens": "INTEGER", "register_tokens": "INTEGER"
                }]'
            )
        ) AS layer,
        generate_subscripts(from_json(layers, '["JSON"]'), 1) AS place
    FROM networks
    WHERE network = $network
)

SELECT
    layer.name AS layer,
    array_to_string(layer.shape, ' x ') AS shape,
    CASE
        WHEN len(layer.axes) > 0 THEN array_to_string(layer.axes, ' x ')
        WHEN layer.axes IS NULL AND len(layer.shape) = 3 THEN 'channel x row x col'
        WHEN layer.axes IS NULL AND len(layer.shape) = 1 THEN 'channel'
    END AS axes,
    format('{} class, {} register', layer.class_tokens, layer.register_tokens) AS tokens,
    list_product(layer.shape)::BIGINT AS units,
    list_product(layer.shape) * 4 / 1e6 AS mb_per_stimulus
FROM layers
ORDER BY place;
