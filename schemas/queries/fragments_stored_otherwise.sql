-- Layers of a network that are stored for a set with another precision or other mantissa bits. Of
-- files that another program wrote neither is known.
-- Parameters: $network, $layers (list), $stimulus_set, $keep_bits (null: all), $precision.
SELECT DISTINCT
    layer,
    keep_bits,
    precision
FROM fragments
WHERE
    network = $network
    AND layer IN $layers
    AND stimulus_set = $stimulus_set
    AND fragment_id IS NOT NULL
    AND (keep_bits IS DISTINCT FROM $keep_bits OR precision <> $precision)
ORDER BY ALL;
