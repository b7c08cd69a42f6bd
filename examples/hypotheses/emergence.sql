-- At which depth does selectivity for expression emerge?
-- Parameter: $stimulus_set. Needs `fexp select` on the layers of interest.
-- One row per network and layer, in forward order. Read percent down the layers: it grows where
-- selectivity emerges; compare it with by_chance, the percentage that is selected once labels are
-- shuffled (by alpha alone, without permutations), and with the same layer of the network's
-- untrained twin.
WITH layers AS (
    SELECT
        network,
        unnest(from_json(layers, '[{"name": "VARCHAR"}]')).name AS layer,
        generate_subscripts(from_json(layers, '["JSON"]'), 1) AS place
    FROM networks
)

SELECT
    s.network,
    s.layer,
    count(*) AS units,
    count_if(s.selective) AS selective,
    100.0 * count_if(s.selective) / count(*) AS percent,
    any_value(
        100.0 * coalesce(found.chance_mean, found.expected_by_alpha) / found.units
    ) AS by_chance
FROM selectivity AS s
INNER JOIN layers AS l USING (network, layer)
INNER JOIN selection AS found USING (run_id)
WHERE s.stimulus_set = $stimulus_set
GROUP BY ALL
ORDER BY s.network, any_value(l.place);
