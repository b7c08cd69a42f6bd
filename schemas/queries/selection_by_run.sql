-- The stimulus set of a finished run of `fexp select`. Parameter: $run_id.
SELECT
    stimulus_set,
    run_id
FROM selection
WHERE run_id = $run_id AND factor = 'expression';
