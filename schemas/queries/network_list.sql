-- One row per registered network, with the number of its layers that have activations stored.
SELECT
    n.network,
    n.architecture,
    n.training,
    n.weights_source,
    n.seed,
    n.licence,
    json_array_length(n.layers) AS layers,
    count(DISTINCT f.layer) AS stored_layers
FROM networks AS n
LEFT JOIN fragments AS f USING (network)
GROUP BY ALL
ORDER BY n.network;
