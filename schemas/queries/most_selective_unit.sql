-- The expression-selective unit with the largest effect of expression in one layer, and the
-- expression with its highest mean response. Parameters: $network, $layer, $stimulus_set.
WITH best AS (
    SELECT
        unit_id,
        f_expression,
        eta_squared_expression
    FROM selectivity
    WHERE network = $network AND layer = $layer AND stimulus_set = $stimulus_set AND selective
    ORDER BY eta_squared_expression DESC, unit_id
    LIMIT 1
),

means AS (
    SELECT
        s.expression,
        avg(a.activation) AS mean_activation
    FROM activations AS a
    INNER JOIN stimuli AS s USING (stimulus_set, stimulus_id)
    WHERE
        a.network = $network
        AND a.layer = $layer
        AND a.stimulus_set = $stimulus_set
        AND a.unit_id = (SELECT unit_id FROM best)
    GROUP BY s.expression
)

SELECT
    unit_id,
    f_expression,
    eta_squared_expression,
    (SELECT arg_max(expression, mean_activation) FROM means) AS preferred_expression
FROM best;
