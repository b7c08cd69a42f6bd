-- Two-way analysis of variance without replication, expression x identity, of each unit of a layer,
-- in double precision. An error names the cells that have not one image, or says how many stimuli
-- are not stored. Sums of squares are taken around means, and what is below 1e-12 of the total is
-- rounding: 0. Formulas: Sokal & Rohlf, Biometry (1995), section 11.1.
-- Parameters:
-- - of_network, of_layer, of_stimulus_set: names; the set has one image per expression and identity
-- - first_unit, last_unit: range of unit_ids, both inclusive; a large layer is worked through in
--   ranges
-- Returns one row per unit:
-- - unit_id: the unit
-- - n: number of images
-- - ss_expression, df_expression, ms_expression: sum of squares, degrees of freedom and mean square
--   of the main effect of expression
-- - f_expression: ms_expression / ms_error; where the error is 0, infinite or, without an effect,
--   0; null for a unit without variance or with a response that is not finite
-- - ss_identity, df_identity, ms_identity, f_identity: the same of identity
-- - ss_error, df_error, ms_error: the same of the error, which is the interaction
-- - ss_total: sum of squares around the unit's mean
CREATE MACRO expression_anova(
    of_network, of_layer, of_stimulus_set, first_unit := 0, last_unit := 2147483647
) AS TABLE
WITH faults AS (
    SELECT format('{} of {} ({} images)', coalesce(expression, 'none'), identity, n) AS named
    FROM design_faults(of_stimulus_set)
    LIMIT 6
),

refusal AS (
    SELECT string_agg(named, ', ') AS named
    FROM faults
),

cells AS MATERIALIZED (
    SELECT
        stimulus_id,
        (dense_rank() OVER (ORDER BY expression))::USMALLINT AS expression,
        (dense_rank() OVER (ORDER BY identity))::UINTEGER AS identity
    FROM stimuli
    CROSS JOIN refusal
    WHERE
        stimulus_set = of_stimulus_set
        AND CASE
            WHEN named IS NULL THEN TRUE
            ELSE error('Each expression of each identity needs one image, but there is: ' || named)
        END
),

in_set AS (
    SELECT count(*) AS stimuli
    FROM cells
),

responses AS (
    SELECT
        a.unit_id,
        c.expression,
        c.identity,
        if(isfinite(a.activation), a.activation, NULL) AS x
    FROM activations AS a
    INNER JOIN cells AS c USING (stimulus_id)
    WHERE
        a.network = of_network
        AND a.layer = of_layer
        AND a.stimulus_set = of_stimulus_set
        AND a.unit_id BETWEEN first_unit AND last_unit
),

by_expression AS (
    SELECT
        unit_id,
        count(*) AS n,
        count(x) AS finite,
        sum(x) AS total,
        var_pop(x) * count(*) AS ss_within,
        min(x) AS lowest,
        max(x) AS highest
    FROM responses
    GROUP BY unit_id, expression
),

by_identity AS (
    SELECT
        unit_id,
        sum(x) AS total
    FROM responses
    GROUP BY unit_id, identity
),

expression_sums AS (
    SELECT
        unit_id,
        sum(n)::BIGINT AS n,
        count(*) AS levels,
        var_pop(total) * count(*) * count(*) / sum(n) AS ss_between,
        sum(ss_within) AS ss_within,
        min(lowest) < max(highest) AND sum(finite) = sum(n) AS varies
    FROM by_expression
    GROUP BY unit_id
),

identity_sums AS (
    SELECT
        unit_id,
        count(*) AS levels,
        var_pop(total) * count(*) AS squares
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
        if(e.varies, e.ss_within + e.ss_between, 0) AS ss_total,
        e.ss_between AS between_expressions,
        i.squares * i.levels / e.n AS between_identities,
        e.ss_within - i.squares * i.levels / e.n AS remainder
    FROM expression_sums AS e
    INNER JOIN identity_sums AS i USING (unit_id)
),

mean_squares AS (
    SELECT
        *,
        if(between_expressions > 1e-12 * ss_total, between_expressions, 0)
        * (ss_total > 0)::INTEGER AS ss_expression,
        if(between_identities > 1e-12 * ss_total, between_identities, 0)
        * (ss_total > 0)::INTEGER AS ss_identity,
        if(remainder > 1e-12 * ss_total, remainder, 0) * (ss_total > 0)::INTEGER AS ss_error,
        ss_expression / df_expression AS ms_expression,
        ss_identity / df_identity AS ms_identity,
        ss_error / df_error AS ms_error
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
        WHEN ss_total > 0 THEN 0
    END AS f_expression,
    ss_identity,
    df_identity,
    ms_identity,
    CASE
        WHEN ms_error > 0 THEN ms_identity / ms_error
        WHEN ms_identity > 0 THEN 'inf'::DOUBLE
        WHEN ss_total > 0 THEN 0
    END AS f_identity,
    ss_error,
    df_error,
    ms_error,
    ss_total
FROM mean_squares
CROSS JOIN in_set
WHERE
    CASE
        WHEN df_error = 0 THEN error('The set needs two expressions and two identities, or more.')
        WHEN n = stimuli THEN TRUE
        ELSE error(format('Only {} of the {} stimuli of the set are stored.', n, stimuli))
    END
ORDER BY unit_id;
