-- Every file of activations with what running its network again needs to know: how it was stored,
-- and on which device and in batches of how many images its ingest ran. Null where nothing says
-- that: of files that another program wrote, and of runs that were lost.
SELECT
    f.network,
    f.layer,
    f.stimulus_set,
    f.path,
    f.fragment_id,
    f.unit_start,
    f.unit_stop,
    f.stimulus_start,
    f.stimulus_stop,
    f.rows,
    f.nonfinite,
    f.keep_bits,
    f.precision,
    try(r.parameters ->> 'device') AS device,
    try_cast(try(r.parameters ->> 'batch_size') AS INTEGER) AS batch_size
FROM fragments AS f
LEFT JOIN runs AS r USING (run_id)
ORDER BY f.network, f.layer, f.stimulus_set, f.stimulus_start, f.unit_start;
