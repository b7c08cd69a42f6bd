-- Are units that respond to expression others than those that respond to identity?
-- Parameters: $network, $layer, $stimulus_set, $alpha (both tests). Needs `fexp select`.
-- One row. both is the number of units with both effects, and expected what it would be if the
-- two were independent: both well below expected means that the codes are kept apart, both well
-- above it that the same units carry them. ratio is one over the other.
WITH effects AS (
    SELECT
        coalesce(p_expression < $alpha, false) AS of_expression,
        coalesce(p_identity < $alpha, false) AS of_identity
    FROM selectivity
    WHERE network = $network AND layer = $layer AND stimulus_set = $stimulus_set
)

SELECT
    count(*) AS units,
    count_if(of_expression) AS expression,
    count_if(of_identity) AS identity,
    count_if(of_expression AND of_identity) AS "both",
    count_if(of_expression) * count_if(of_identity) / count(*) AS expected,
    "both" / nullif(expected, 0) AS ratio
FROM effects;
