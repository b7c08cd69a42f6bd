-- Rows of the newest finished run of each kind, for each thing that it was run on, each with where
-- its units were selected; rows of earlier versions do not say that, but their runs tell.
-- Parameter: $view, the name of the table and of the view.
CREATE VIEW $view AS
SELECT v.* REPLACE (coalesce(v.selection, r.selection) AS selection)
FROM stored.$view AS v
INNER JOIN stored.newest_runs AS r USING (run_id);
