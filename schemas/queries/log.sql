-- What was done to the warehouse, newest first; seconds is null for a run that never finished.
SELECT
    started,
    kind,
    parameters,
    seconds,
    run_id
FROM runs
ORDER BY started DESC;
