-- What `fexp compare` compares by folds and continua: one row per network, measure and sample.
-- Parameters: $runs (a list of run_ids).
WITH fits AS (
    SELECT
        *,
        morph_from || '-' || morph_to AS continuum
    FROM categorical_fit
    WHERE list_contains($runs, run_id) AND r2 IS NOT NULL
)

SELECT
    network,
    layer,
    'decoding accuracy' AS measure,
    'fold' AS sampled_by,
    fold::VARCHAR AS sample,
    avg(accuracy) AS value,  -- over draws of random units
    any_value(n_test / n_train) AS test_by_train
FROM decoding
WHERE shuffle = 0 AND list_contains($runs, run_id)
GROUP BY network, layer, fold
UNION ALL
SELECT
    network,
    layer,
    'R2 of ' || model || ' on ' || morph_set AS measure,
    'continuum' AS sampled_by,
    continuum AS sample,
    r2 AS value,
    NULL AS test_by_train
FROM fits
UNION ALL
SELECT
    a.network,
    a.layer,
    'R2 of logistic minus linear on ' || a.morph_set AS measure,
    'continuum' AS sampled_by,
    a.continuum AS sample,
    a.r2 - b.r2 AS value,
    NULL AS test_by_train
FROM fits AS a
INNER JOIN fits AS b USING (network, layer, morph_set, continuum)
WHERE a.model = 'logistic' AND b.model = 'linear'
ORDER BY ALL;
