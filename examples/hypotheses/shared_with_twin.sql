-- Are more units selective in both of two twins than chance would have it?
-- Parameters: $network, $twin (the same architecture, for example untrained), $layer,
-- $stimulus_set. Needs `fexp select` on both.
-- One row. expected and sd are those of the hypergeometric distribution: as many units drawn at
-- random in each. z above 2 or so means that something other than training, such as where a unit
-- looks, makes units selective. (Neighbouring units are not independent, so z flatters.)
WITH pairs AS (
    SELECT
        a.selective AS here,
        b.selective AS there
    FROM selectivity AS a
    INNER JOIN selectivity AS b USING (layer, stimulus_set, unit_id)
    WHERE
        a.network = $network
        AND b.network = $twin
        AND a.layer = $layer
        AND a.stimulus_set = $stimulus_set
),

counts AS (
    SELECT
        count(*)::DOUBLE AS units,
        count_if(here)::DOUBLE AS here,
        count_if(there)::DOUBLE AS there,
        count_if(here AND there) AS shared
    FROM pairs
)

SELECT
    here::BIGINT AS selective,
    there::BIGINT AS selective_in_twin,
    shared,
    here * there / units AS expected,
    sqrt(expected * (1 - here / units) * (units - there) / (units - 1)) AS sd,
    (shared - expected) / nullif(sd, 0) AS z
FROM counts;
