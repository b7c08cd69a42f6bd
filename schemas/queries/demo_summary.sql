-- Units and selective units of every layer that `fexp select` was run on, in forward order;
-- by_chance is how many are selective once labels are shuffled (mean over permutations).
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
    round(100.0 * count_if(s.selective) / count(*), 2) AS percent,
    round(any_value(found.chance_mean), 1) AS by_chance
FROM selectivity AS s
INNER JOIN layers AS l USING (network, layer)
INNER JOIN selection AS found USING (run_id)
WHERE s.stimulus_set = $stimulus_set
GROUP BY ALL
ORDER BY s.network, any_value(l.place);
