-- How many of a layer's selective units prefer each expression of the stimulus set.
-- Parameters: $network, $layer, $stimulus_set.
WITH units AS (
    SELECT DISTINCT
        unit_id,
        preferred
    FROM tuning
    WHERE network = $network AND layer = $layer AND stimulus_set = $stimulus_set
)

SELECT
    s.expression,
    count(DISTINCT u.unit_id) AS units
FROM stimuli AS s
LEFT JOIN units AS u ON s.expression = u.preferred
WHERE s.stimulus_set = $stimulus_set AND s.expression IS NOT NULL
GROUP BY s.expression
ORDER BY s.expression;
