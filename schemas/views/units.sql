-- One row per unit of every layer of every registered network: where it lies in the layer's output.
-- unit_id is row-major over the layer's shape, whose axes are named: in (channel*H + row)*W + col
-- channels come first, in (row*W + col)*C + channel last, in token*D + dim there are none. What a
-- layer has no axis for is null, and all is where nothing tells what its axes are. In flat layers
-- the channel is the unit itself.
CREATE VIEW units AS
WITH stored_layers AS (
    SELECT
        network,
        unnest(
            from_json(
                layers,
                '[{
                    "name": "VARCHAR", "shape": ["INTEGER"], "axes": ["VARCHAR"],
                    "class_tokens": "INTEGER", "register_tokens": "INTEGER"
                }]'
            )
        ) AS layer
    FROM networks
),

-- Where nothing was said of axes, in older warehouses and imported networks, channels come first.
named_layers AS (
    SELECT
        network,
        layer.name AS layer,
        layer.shape,
        coalesce(
            layer.axes,
            CASE len(layer.shape)
                WHEN 3 THEN ['channel', 'row', 'col']
                WHEN 1 THEN ['channel']
            END
        ) AS axes,
        layer.class_tokens,
        layer.class_tokens + layer.register_tokens AS leading_tokens
    FROM stored_layers
),

-- Length and stride of each axis; null where a layer has none.
layer_axes AS (
    SELECT
        *,
        list_transform(
            ['channel', 'row', 'col', 'token', 'dim'],
            LAMBDA word: {
                'length': shape[list_position(axes, word)],
                'stride': if(
                    list_contains(axes, word),
                    coalesce(list_product(shape[list_position(axes, word) + 1:]), 1)::INTEGER,
                    NULL
                )
            }
        ) AS found
    FROM named_layers
),

numbered AS (
    SELECT
        network,
        layer,
        found[1].length AS channels,
        found[1].stride AS channel_stride,
        found[2].length AS rows,
        found[2].stride AS row_stride,
        found[3].length AS cols,
        found[3].stride AS col_stride,
        found[4].length AS tokens,
        found[4].stride AS token_stride,
        found[5].length AS dims,
        found[5].stride AS dim_stride,
        class_tokens,
        leading_tokens,
        unnest(range(list_product(shape)::INTEGER))::INTEGER AS unit_id
    FROM layer_axes
),

placed AS (
    SELECT
        *,
        unit_id // channel_stride % channels AS channel,
        unit_id // row_stride % rows AS row,
        unit_id // col_stride % cols AS col,
        unit_id // token_stride % tokens AS token,
        unit_id // dim_stride % dims AS dim
    FROM numbered
)

SELECT
    network,
    layer,
    unit_id,
    channel,
    row,
    col,
    token,
    dim,
    CASE
        WHEN token < class_tokens THEN 'class'
        WHEN token < leading_tokens THEN 'register'
        WHEN token >= leading_tokens THEN 'patch'
    END AS token_kind
FROM placed;
