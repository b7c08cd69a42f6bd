-- What `fexp compare` compares: one row per network, measure and sample, from the newest results.
-- Parameters: $stimulus_set (the training set), $units, $two_way.
WITH fits AS (
    SELECT
        *,
        morph_from || '-' || morph_to AS continuum
    FROM categorical_fit
    WHERE stimulus_set = $stimulus_set AND units = $units AND two_way = $two_way
)

SELECT
    network,
    layer,
    'decoding accuracy' AS measure,
    'fold' AS sampled_by,
    fold::VARCHAR AS sample,
    accuracy AS value
FROM decoding
WHERE shuffle = 0 AND stimulus_set = $stimulus_set AND units = $units
UNION ALL
SELECT
    p.network,
    p.layer,
    'accuracy on ' || p.stimulus_set AS measure,
    'identity' AS sampled_by,
    s.identity AS sample,
    avg((p.depicted = p.response)::INTEGER) AS value
FROM predictions AS p
INNER JOIN stimuli AS s ON p.stimulus_set = s.stimulus_set AND p.stimulus_id = s.stimulus_id
WHERE p.fold IS NULL AND p.train_set = $stimulus_set AND p.units = $units
GROUP BY ALL
UNION ALL
SELECT
    network,
    layer,
    'R2 of ' || model || ' on ' || morph_set AS measure,
    'continuum' AS sampled_by,
    continuum AS sample,
    r2 AS value
FROM fits
WHERE r2 IS NOT NULL
UNION ALL
SELECT
    a.network,
    a.layer,
    'R2 of logistic minus linear on ' || a.morph_set AS measure,
    'continuum' AS sampled_by,
    a.continuum AS sample,
    a.r2 - b.r2 AS value
FROM fits AS a
INNER JOIN fits AS b USING (network, layer, morph_set, continuum)
WHERE a.model = 'logistic' AND b.model = 'linear' AND a.r2 IS NOT NULL AND b.r2 IS NOT NULL
UNION ALL
SELECT
    network,
    layer,
    statistic || ' with ' || study || ' ' || observer_set || ', ' || cells || ' cells, on '
    || test_set AS measure,
    'network' AS sampled_by,
    observer AS sample,
    value
FROM similarity
WHERE value IS NOT NULL AND stimulus_set = $stimulus_set AND units = $units
ORDER BY ALL;
