-- One row per unit of every layer of every registered network: where it lies in the layer's output.
-- channel, row and col follow unit_id = (channel*H + row)*W + col; row and col are null in flat
-- layers.
CREATE VIEW units AS
WITH layer_shapes AS (
    SELECT
        network,
        unnest(from_json(layers, '[{"name": "VARCHAR", "shape": ["INTEGER"]}]')) AS layer
    FROM networks
),

layer_sizes AS (
    SELECT
        network,
        layer.name AS layer,
        list_product(layer.shape)::INTEGER AS units,
        if(len(layer.shape) = 3, layer.shape[2], NULL) AS height,
        if(len(layer.shape) = 3, layer.shape[3], NULL) AS width
    FROM layer_shapes
),

numbered AS (
    SELECT
        *,
        unnest(range(units))::INTEGER AS unit_id
    FROM layer_sizes
)

SELECT
    network,
    layer,
    unit_id,
    unit_id // coalesce(height * width, 1) AS channel,
    unit_id // width % height AS row,
    unit_id % width AS col
FROM numbered;
