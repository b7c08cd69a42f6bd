-- Do some channels (feature maps) hold many of the selective units?
-- Parameters: $network, $layer, $stimulus_set. Needs `fexp select`.
-- One row per channel that has any, richest first. cumulative is the share of all selective units
-- in this channel and those before it: if it nears 1 after a few of the channels, selectivity is a
-- property of a few features wherever they are, and not of places. Needs a layer with channels: in
-- one of tokens, GROUP BY u.dim instead asks the same of dimensions.
WITH channels AS (
    SELECT
        coalesce(
            u.channel,
            error(u.layer || ' of ' || u.network || ' has no channels; see: fexp networks layers')
        ) AS channel,
        count(*) AS units,
        count_if(s.selective) AS selective
    FROM selectivity AS s
    INNER JOIN units AS u USING (network, layer, unit_id)
    WHERE s.network = $network AND s.layer = $layer AND s.stimulus_set = $stimulus_set
    GROUP BY ALL
)

SELECT
    channel,
    units,
    selective,
    sum(selective) OVER (ORDER BY selective DESC, channel)
    / sum(selective) OVER () AS cumulative
FROM channels
WHERE selective > 0
ORDER BY selective DESC, channel;
