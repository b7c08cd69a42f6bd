-- The runs that count of the analyses whose results `fexp compare` compares.
-- Parameters: $stimulus_set (the training set), $units, $two_way.
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
ORDER BY ALL;
