-- Where on a layer's map (14 x 14 in conv5_3) do selective units lie?
-- Parameters: $network, $layer, $stimulus_set. Needs `fexp select`.
-- One row per place, those with the largest share first. enrichment is the share of selective
-- units at the place over their share in the whole layer: 1 means no preference for the place.
-- Faces are aligned, so that a place sees one part of the face: upper rows brows, lower ones mouth.
-- Needs a layer with rows and columns.
WITH places AS (
    SELECT
        coalesce(
            u.row,
            error(u.layer || ' of ' || u.network || ' is no map; see: fexp networks layers')
        ) AS row,
        coalesce(
            u.col,
            error(u.layer || ' of ' || u.network || ' is no map; see: fexp networks layers')
        ) AS col,
        count(*) AS units,
        count_if(s.selective) AS selective
    FROM selectivity AS s
    INNER JOIN units AS u USING (network, layer, unit_id)
    WHERE s.network = $network AND s.layer = $layer AND s.stimulus_set = $stimulus_set
    GROUP BY ALL
)

SELECT
    row,
    col,
    units,
    selective,
    selective / units AS share,
    share / nullif(sum(selective) OVER () / sum(units) OVER (), 0) AS enrichment
FROM places
ORDER BY share DESC, row, col;
