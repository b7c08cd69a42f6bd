-- Two-way analysis of variance without replication, expression x identity, of each unit of a layer.
-- Returns one row per unit: sums of squares, degrees of freedom, mean squares and F of each factor.
-- Parameters: network, layer and stimulus set (one image per expression and identity).
-- F is null for a unit without variance. Formulas: Sokal & Rohlf, Biometry (1995), section 11.1.
CREATE MACRO expression_anova(of_network, of_layer, of_stimulus_set) AS TABLE
WITH responses AS (
    SELECT
        a.unit_id,
        s.expression,
        s.identity,
        a.activation::DOUBLE AS x
    FROM activations AS a
    INNER JOIN stimuli AS s
        ON a.stimulus_id = s.stimulus_id AND s.stimulus_set = of_stimulus_set
    WHERE
        a.network = of_network
        AND a.layer = of_layer
        AND a.stimulus_set = of_stimulus_set
),

by_expression AS (
    SELECT
        unit_id,
        expression,
        sum(x) AS total,
        sum(x * x) AS squares,
        min(x) AS lowest,
        max(x) AS highest,
        count(*) AS n
    FROM responses
    GROUP BY unit_id, expression
),

by_identity AS (
    SELECT
        unit_id,
        identity,
        sum(x) AS total,
        count(*) AS n
    FROM responses
    GROUP BY unit_id, identity
),

expression_sums AS (
    SELECT
        unit_id,
        sum(n) AS n,
        count(*) AS levels,
        sum(total) * sum(total) / sum(n) AS correction,
        sum(squares) AS squares,
        sum(total * total / n) AS level_squares,
        min(lowest) < max(highest) AS varies
    FROM by_expression
    GROUP BY unit_id
),

identity_sums AS (
    SELECT
        unit_id,
        count(*) AS levels,
        sum(total * total / n) AS level_squares
    FROM by_identity
    GROUP BY unit_id
),

sums_of_squares AS (
    SELECT
        e.unit_id,
        e.n,
        e.levels - 1 AS df_expression,
        i.levels - 1 AS df_identity,
        (e.levels - 1) * (i.levels - 1) AS df_error,
        if(e.varies, e.squares - e.correction, 0) AS ss_total,
        if(e.varies, greatest(e.level_squares - e.correction, 0), 0) AS ss_expression,
        if(e.varies, greatest(i.level_squares - e.correction, 0), 0) AS ss_identity
    FROM expression_sums AS e
    INNER JOIN identity_sums AS i USING (unit_id)
),

mean_squares AS (
    SELECT
        *,
        greatest(ss_total - ss_expression - ss_identity, 0) AS ss_error,
        ss_expression / df_expression AS ms_expression,
        ss_identity / df_identity AS ms_identity,
        greatest(ss_total - ss_expression - ss_identity, 0) / df_error AS ms_error
    FROM sums_of_squares
)

SELECT
    unit_id,
    n,
    ss_expression,
    df_expression,
    ms_expression,
    CASE
        WHEN ms_error > 0 THEN ms_expression / ms_error
        WHEN ms_expression > 0 THEN 'inf'::DOUBLE
    END AS f_expression,
    ss_identity,
    df_identity,
    ms_identity,
    CASE
        WHEN ms_error > 0 THEN ms_identity / ms_error
        WHEN ms_identity > 0 THEN 'inf'::DOUBLE
    END AS f_identity,
    ss_error,
    df_error,
    ms_error,
    ss_total
FROM mean_squares
ORDER BY unit_id;
