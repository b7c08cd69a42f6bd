-- Whether anything that a run read was made anew after it: the selective units of its network and
-- layer and, for a comparison, any result on its set.
-- Parameters: $run_id, $kind, $name (the stimulus set).
WITH here AS (
    SELECT
        started,
        parameters ->> 'network' AS network,
        parameters ->> 'layer' AS layer
    FROM runs
    WHERE run_id = $run_id
)

SELECT coalesce(bool_or(later.started > here.started), FALSE) AS stale
FROM runs AS later
CROSS JOIN here
WHERE
    later.seconds IS NOT NULL
    AND (
        (
            $kind <> 'select'
            AND later.kind = 'select'
            AND later.parameters ->> 'network' = here.network
            AND later.parameters ->> 'layer' = here.layer
        )
        OR (
            $kind = 'compare'
            AND later.kind IN ('decode', 'confuse', 'categorize')
            AND later.parameters ->> 'stimulus_set' = $name
        )
    );
