-- Are selective units sparser than the others: silent for most images, active for a few?
-- Parameters: $network, $layer, $stimulus_set. Needs `fexp select`; a layer after its ReLU.
-- Two rows: other and selective units. Sparseness (Vinje & Gallant 2000) is 0 for a unit that
-- responds to all images alike and 1 for one that responds to a single image; units that never
-- respond are left out.
SELECT
    if(s.selective, 'selective', 'other') AS kind,
    count(*) AS units,
    avg(m.sparseness) AS mean_sparseness,
    stddev_samp(m.sparseness) AS sd_sparseness,
    avg(m.mean) AS mean_activation
FROM unit_moments($network, $layer, $stimulus_set) AS m
INNER JOIN selectivity AS s
    ON
        m.unit_id = s.unit_id
        AND s.network = $network
        AND s.layer = $layer
        AND s.stimulus_set = $stimulus_set
WHERE m.sparseness IS NOT NULL
GROUP BY s.selective
ORDER BY kind;
