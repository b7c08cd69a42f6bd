-- Is the network more like people than the others (similarity of confusions, R2 of the logistic)?
-- Parameters: $network, $stimulus_set. Needs `fexp compare`. What was found is the difference of
-- the means, a minus b; that of the published figures stands beside it where both are published.
WITH tested AS (
    SELECT DISTINCT
        measure,
        network_a,
        network_b,
        selection,
        mean_a - mean_b AS difference
    FROM comparison
    WHERE
        name = $stimulus_set
        AND $network IN (network_a, network_b)
        AND (
            measure LIKE 'R2 of logistic on %'
            OR measure LIKE 'pearson with zhou2022 %, all cells, on %'
        )
),

logistic AS (
    SELECT
        network,
        value
    FROM published
    WHERE quantity = 'categorical_fit_r2_mean' AND model = 'logistic'
)

SELECT
    concat_ws(' ', t.selection, t.measure || ':', t.network_a, 'minus', t.network_b) AS what,
    t.difference AS found,
    if(t.measure LIKE 'R2 of logistic %', a.value - b.value, NULL) AS published
FROM tested AS t
LEFT JOIN logistic AS a ON t.network_a = a.network
LEFT JOIN logistic AS b ON t.network_b = b.network
ORDER BY ALL;
