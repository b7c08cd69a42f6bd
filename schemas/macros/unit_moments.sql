-- Moments of the responses of each unit of a layer over the stimuli of a set.
-- Parameters:
-- - of_network, of_layer, of_stimulus_set: names of the network, the layer and the stimulus set
-- - first_unit, last_unit: range of unit_ids, both inclusive; a large layer is worked through in
--   ranges
-- Returns one row per unit:
-- - unit_id: the unit
-- - n: number of stimuli
-- - mean: mean response
-- - variance: variance of the responses, n - 1 in the denominator; null for one stimulus
-- - sparseness: (1 - mean(x)^2 / mean(x^2)) / (1 - 1/n), 0 for equal responses and 1 for a response
--   to one stimulus alone; null for a unit that never responds, or where some response is negative
--   (Vinje & Gallant 2000, Science 287:1273)
CREATE MACRO unit_moments(
    of_network, of_layer, of_stimulus_set, first_unit := 0, last_unit := 2147483647
) AS TABLE
SELECT
    unit_id,
    count(*) AS n,
    avg(activation::DOUBLE) AS mean,
    var_samp(activation::DOUBLE) AS variance,
    CASE
        WHEN min(activation) >= 0 AND max(activation) > 0 AND count(*) > 1
            THEN
                (1 - avg(activation::DOUBLE) ** 2 / avg(activation::DOUBLE * activation))
                / (1 - 1 / count(*))
    END AS sparseness
FROM activations
WHERE
    network = of_network
    AND layer = of_layer
    AND stimulus_set = of_stimulus_set
    AND unit_id BETWEEN first_unit AND last_unit
GROUP BY unit_id
ORDER BY unit_id;
