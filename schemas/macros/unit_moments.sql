-- Moments of each unit's responses: n, mean, variance (n - 1 in the denominator) and sparseness.
-- Sparseness is 0 for equal responses and 1 for a response to one stimulus alone; null for a unit
-- that never responds, or where some response is negative.
-- Formula: Vinje & Gallant 2000, Science 287:1273: (1 - mean(x)^2 / mean(x^2)) / (1 - 1/n).
-- Parameters: network, layer, stimulus set; optionally first_unit and last_unit, both inclusive.
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
