-- Finished runs of one kind, newest first.
-- Parameter: $kind.
SELECT
    run_id,
    parameters
FROM runs
WHERE kind = $kind AND seconds IS NOT NULL
ORDER BY started DESC;
