-- Which share of the selective units prefers each expression, here and in figure 1B?
-- Parameters: $networks, $stimulus_set. Needs `fexp tune`.
WITH shares AS (
    SELECT
        network,
        layer,
        expression,
        count_if(expression = preferred) / count(DISTINCT unit_id) AS share
    FROM tuning
    WHERE list_contains($networks, network) AND stimulus_set = $stimulus_set
    GROUP BY ALL
)

SELECT
    concat_ws(' ', s.network, s.layer || ':', 'share of units that prefer', s.expression) AS what,
    s.share AS found,
    p.value AS published
FROM shares AS s
INNER JOIN networks AS n USING (network)
LEFT JOIN published AS p
    ON
        n.network_group = p.network
        AND s.expression = p.expression
        AND p.quantity = 'preferred_share'
ORDER BY s.network, s.layer, s.expression;
