-- The run that counts of its kind and key, as views show it. Parameters: $kind, $key.
SELECT
    run_id,
    started,
    parameters
FROM stored.newest_runs
WHERE kind = $kind AND key = $key;
