-- Which expressions drive the same units, and so should be confused with one another?
-- Parameters: $network, $layer, $stimulus_set. Needs `fexp select` and `fexp tune`.
-- One row per pair. similarity is Pearson's correlation, over selective units, of their tuning to
-- the two expressions: the highest pairs are those the units predict to be confused. Tuning to
-- all expressions sums to 0, so that the mean over pairs lies below 0 and not at it.
SELECT
    a.expression,
    b.expression AS other,
    count(*) AS units,
    corr(a.tuning, b.tuning) AS similarity
FROM tuning AS a
INNER JOIN tuning AS b USING (network, layer, stimulus_set, unit_id)
WHERE
    a.network = $network
    AND a.layer = $layer
    AND a.stimulus_set = $stimulus_set
    AND a.expression < b.expression
GROUP BY a.expression, b.expression
ORDER BY similarity DESC, a.expression, b.expression;
