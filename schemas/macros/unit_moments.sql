-- Moments of the responses of each unit of a layer over the stimuli of a set.
-- Parameters:
-- - of_network, of_layer, of_stimulus_set: names of the network, the layer and the stimulus set
-- - first_unit, last_unit: range of unit_ids, both inclusive; a large layer is worked through in
--   ranges
-- Returns one row per unit:
-- - unit_id: the unit
-- - n: number of stimuli
-- - mean: mean response; null, as all that follows, for a unit with a response that is not finite
-- - variance: variance of the responses, n - 1 in the denominator; null for one stimulus
-- - sparseness: (1 - mean(x)^2 / mean(x^2)) / (1 - 1/n), 0 for equal responses and 1 for a response
--   to one stimulus alone; null for a unit that never responds, or where some response is negative
--   (Vinje & Gallant 2000, Science 287:1273)
CREATE MACRO unit_moments(
    of_network, of_layer, of_stimulus_set, first_unit := 0, last_unit := 2147483647
) AS TABLE
WITH responses AS (
    SELECT
        unit_id,
        if(isfinite(activation), activation::DOUBLE, NULL) AS x
    FROM activations
    WHERE
        network = of_network
        AND layer = of_layer
        AND stimulus_set = of_stimulus_set
        AND unit_id BETWEEN first_unit AND last_unit
)

SELECT
    unit_id,
    count(*) AS n,
    if(count(x) = n, avg(x), NULL) AS mean,
    if(count(x) = n, var_samp(x), NULL) AS variance,
    CASE
        WHEN count(x) = n AND min(x) >= 0 AND max(x) > 0 AND n > 1
            THEN (1 - avg(x) ** 2 / avg(x * x)) / (1 - 1 / n)
    END AS sparseness
FROM responses
GROUP BY unit_id
ORDER BY unit_id;
