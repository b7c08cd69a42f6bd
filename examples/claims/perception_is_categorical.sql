-- Does a logistic curve fit morphs better than a line or a parabola (mean R2 over continua)?
-- Parameters: $networks, $stimulus_set. Needs `fexp categorize`.
WITH means AS (
    SELECT
        network,
        layer,
        units,
        selection,
        two_way,
        run_id,
        model,
        avg(r2) AS r2
    FROM categorical_fit
    WHERE list_contains($networks, network) AND stimulus_set = $stimulus_set
    GROUP BY ALL
)

SELECT
    concat_ws(
        ' ', m.network, m.layer, m.units, m.selection,
        if(m.two_way, 'two-way:', 'six-way:'), 'R2 of', m.model
    ) AS what,
    m.r2 AS found,
    p.value AS published
FROM means AS m
INNER JOIN networks AS n USING (network)
LEFT JOIN published AS p
    ON
        n.network_group = p.network
        AND m.model = p.model
        AND p.quantity = 'categorical_fit_r2_mean'
ORDER BY m.network, m.layer, m.units, m.selection, m.two_way, m.run_id, m.model;
