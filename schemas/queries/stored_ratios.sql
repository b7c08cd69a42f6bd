-- Bytes on disk per byte of raw float32 activations, by layer, from what is stored of a network.
-- Parameter: $network.
SELECT
    layer,
    sum(bytes)::DOUBLE / sum(rows * 4) AS ratio
FROM fragments
WHERE network = $network
GROUP BY layer;
