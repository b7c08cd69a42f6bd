-- Every row that is stored.
-- Parameter: $view, the name of the table and of the view.
CREATE VIEW $view AS
SELECT *
FROM stored.$view;
