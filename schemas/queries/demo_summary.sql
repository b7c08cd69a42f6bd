-- Units and selective units of every layer that `fexp select` was run on, in forward order.
-- Parameter: $stimulus_set.
WITH layers AS (
    SELECT
        network,
        training,
        unnest(from_json(layers, '[{"name": "VARCHAR"}]')).name AS layer,
        generate_subscripts(from_json(layers, '["JSON"]'), 1) AS place
    FROM networks
)

SELECT
    s.network,
    l.training,
    s.layer,
    count(*) AS units,
    count_if(s.selective) AS selective,
    round(100.0 * count_if(s.selective) / count(*), 2) AS percent
FROM selectivity AS s
INNER JOIN layers AS l USING (network, layer)
WHERE s.stimulus_set = $stimulus_set
GROUP BY ALL
ORDER BY s.network, any_value(l.place);
