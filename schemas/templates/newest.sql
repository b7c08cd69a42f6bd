-- Rows of the newest finished run of each kind, for each thing that it was run on. Run ids are
-- unique, so that neither kind nor factor needs to be said.
-- Parameter: $view, the name of the table and of the view.
CREATE VIEW $view AS
SELECT *
FROM stored.$view
WHERE
    run_id IN (
        SELECT run_id
        FROM stored.newest_runs
    );
