-- One row per image that a classifier answered to, in the newest finished fexp decode or fexp
-- confuse: stimulus_set and stimulus_id name the image, train_set what the classifier was taught.
CREATE VIEW predictions AS
SELECT
    p.network,
    p.layer,
    p.test_set AS stimulus_set,
    p.stimulus_id,
    coalesce(p.train_set, p.stimulus_set) AS train_set,
    p.run_id,
    p.units,
    coalesce(p.selection, r.selection) AS selection,
    p.fold,
    p.n_units,
    p.depicted,
    p.response
FROM stored.predictions AS p
INNER JOIN stored.newest_runs AS r USING (run_id);
