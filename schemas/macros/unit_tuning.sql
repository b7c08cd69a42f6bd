-- How each unit of a layer is tuned: its mean response to each expression, z-scored over stimuli.
-- Parameters:
-- - of_network, of_layer, of_stimulus_set: names of the network, the layer and the stimulus set
-- - first_unit, last_unit: range of unit_ids, both inclusive; a large layer is worked through in
--   ranges
-- Returns one row per unit and expression:
-- - unit_id, expression: the unit and the expression
-- - mean_activation: mean response to the expression; null for a unit with a response that is not
--   finite
-- - tuning: mean z score (population SD) of the responses to the expression; null for a unit
--   without variance or with a response that is not finite
-- - preferred: whether the unit has its highest tuning here (the first by name if several have it)
CREATE MACRO unit_tuning(
    of_network, of_layer, of_stimulus_set, first_unit := 0, last_unit := 2147483647
) AS TABLE
WITH responses AS (
    SELECT
        a.unit_id,
        s.expression,
        if(isfinite(a.activation), a.activation::DOUBLE, NULL) AS x
    FROM activations AS a
    INNER JOIN stimuli AS s
        ON a.stimulus_id = s.stimulus_id AND s.stimulus_set = of_stimulus_set
    WHERE
        a.network = of_network
        AND a.layer = of_layer
        AND a.stimulus_set = of_stimulus_set
        AND a.unit_id BETWEEN first_unit AND last_unit
),

by_expression AS (
    SELECT
        unit_id,
        expression,
        count(*) AS n,
        count(x) AS finite,
        avg(x) AS mean_activation,
        var_pop(x) AS variance,
        min(x) AS lowest,
        max(x) AS highest
    FROM responses
    GROUP BY unit_id, expression
),

units AS (
    SELECT
        unit_id,
        sum(n * mean_activation) / sum(n) AS mean_of_all,
        sum(finite) = sum(n) AS all_finite,
        min(lowest) < max(highest) AND all_finite AS varies
    FROM by_expression
    GROUP BY unit_id
),

spreads AS (
    SELECT
        unit_id,
        any_value(mean_of_all) AS mean_of_all,
        any_value(all_finite) AS all_finite,
        any_value(varies) AS varies,
        sqrt(sum(n * (variance + (mean_activation - mean_of_all) ** 2)) / sum(n)) AS sd
    FROM by_expression
    INNER JOIN units USING (unit_id)
    GROUP BY unit_id
)

SELECT
    unit_id,
    expression,
    if(all_finite, mean_activation, NULL) AS mean_activation,
    if(varies, (mean_activation - mean_of_all) / sd, NULL) AS tuning,
    varies AND row_number() OVER (
        PARTITION BY unit_id ORDER BY mean_activation DESC, expression
    ) = 1 AS preferred
FROM by_expression
INNER JOIN spreads USING (unit_id)
ORDER BY unit_id, expression;
