-- How many units of networks are selective for expression, against what shuffled labels select?
-- Parameters: $networks, $stimulus_set. Needs `fexp select`; halves of people, `fexp reliability`.
WITH counts AS (
    SELECT
        network,
        layer,
        run_id,
        count_if(selective) AS selective
    FROM selectivity
    WHERE list_contains($networks, network) AND stimulus_set = $stimulus_set
    GROUP BY ALL
),

halves AS (
    SELECT
        network,
        layer,
        avg(jaccard) AS jaccard,
        avg(shuffled_jaccard) AS by_chance
    FROM split_halves
    WHERE list_contains($networks, network) AND stimulus_set = $stimulus_set
    GROUP BY ALL
),

found AS (
    SELECT
        network,
        layer,
        unnest([
            { 'place': 1, 'what': 'selective units', 'found': c.selective },
            { 'place': 2, 'what': 'with shuffled labels, mean', 'found': s.chance_mean },
            { 'place': 3, 'what': 'p of the count', 'found': s.chance_p },
            { 'place': 4, 'what': 'Jaccard of halves of the people', 'found': h.jaccard },
            { 'place': 5, 'what': 'Jaccard with shuffled labels', 'found': h.by_chance }
        ]) AS one
    FROM counts AS c
    INNER JOIN selection AS s USING (run_id, network, layer)
    LEFT JOIN halves AS h USING (network, layer)
)

SELECT
    concat_ws(' ', network, layer || ':', one.what) AS what,
    one.found::DOUBLE AS found,
    NULL::DOUBLE AS published
FROM found
ORDER BY network, layer, one.place;
