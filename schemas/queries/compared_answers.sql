-- What `fexp compare` compares by identities: one row per network and image that it classified.
-- Parameters: $runs (a list of run_ids).
SELECT
    p.network,
    p.layer,
    p.run_id,
    p.stimulus_set AS test_set,
    p.stimulus_id,
    s.identity,
    p.depicted,
    p.response
FROM predictions AS p
INNER JOIN stimuli AS s ON p.stimulus_set = s.stimulus_set AND p.stimulus_id = s.stimulus_id
WHERE list_contains($runs, p.run_id)
ORDER BY ALL;
