-- The runs that count of the analyses whose results `fexp compare` compares; it reads their rows
-- and no others.
-- Parameters: $stimulus_set (the training set), $units, $two_way, $selection.
SELECT
    kind,
    key ->> 'network' AS network,
    key ->> 'layer' AS layer,
    concat_ws(' ', kind, key ->> 'test_set', key ->> 'morph_set') AS what,
    run_id,
    parameters
FROM stored.newest_runs
WHERE
    kind IN ('decode', 'confuse', 'categorize')
    AND key ->> 'stimulus_set' = $stimulus_set
    AND key ->> 'units' = $units
    AND coalesce((key ->> 'two_way')::BOOLEAN, $two_way) = $two_way
    -- Only chosen units have a selection; runs of earlier versions do not say which.
    AND coalesce(key ->> 'selection', $selection)
    = if($units IN ('selective', 'random'), $selection, coalesce(key ->> 'selection', $selection))
QUALIFY
    row_number() OVER (  -- a run that says its selection comes before one that does not
        PARTITION BY kind, network, layer, what ORDER BY (key ->> 'selection') IS NULL, started DESC
    ) = 1
ORDER BY ALL;
