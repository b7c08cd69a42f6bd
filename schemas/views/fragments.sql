-- One row per file of activations that exists: rows of killed or lost ingests are left out.
CREATE VIEW fragments AS
SELECT *
FROM stored.fragments
WHERE
    path IN (
        SELECT path
        FROM stored.files
        WHERE table_name = 'activations'
    )
ORDER BY network, layer, stimulus_set, stimulus_start;
