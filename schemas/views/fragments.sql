-- One row per file of activations that exists: rows of killed or lost ingests are left out. A file
-- that another program wrote is unverified: nothing is recorded of it, so that what only our record
-- could say is null.
CREATE VIEW fragments AS
SELECT *
FROM stored.fragments
WHERE
    path IN (
        SELECT path
        FROM stored.files
        WHERE table_name = 'activations'
    )
UNION ALL BY NAME
SELECT *
FROM stored.foreign_files
ORDER BY network, layer, stimulus_set, stimulus_start;
