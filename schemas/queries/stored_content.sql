-- Every fragment with the inputs that determine its content and the images it is of.
-- Parameter: $layer (fragments of this layer only).
SELECT
    f.fragment_id,
    f.network,
    f.stimulus_set,
    f.path,
    f.unit_start,
    f.unit_stop,
    f.stimulus_start,
    f.stimulus_stop,
    n.weights_sha256,
    n.architecture,
    n.preprocessing,
    f.layer,
    f.keep_bits,
    f.precision,
    list(s.image_sha256 ORDER BY s.stimulus_id) AS images
FROM fragments AS f
INNER JOIN networks AS n USING (network)
INNER JOIN stimuli AS s
    ON
        f.stimulus_set = s.stimulus_set
        AND s.stimulus_id >= f.stimulus_start
        AND s.stimulus_id < f.stimulus_stop
WHERE f.layer = $layer
GROUP BY ALL
ORDER BY f.network, f.stimulus_set, f.stimulus_start;
