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
    -- Only chosen units have a selection.
    AND key ->> 'selection' = if($units IN ('selective', 'random'), $selection, 'none')
ORDER BY ALL;
