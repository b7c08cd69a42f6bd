-- Every finished search for selective units, in order of time: options, count and what chance does.
CREATE VIEW selection AS
SELECT s.*
FROM stored.selection AS s
INNER JOIN runs AS r USING (run_id)
WHERE r.seconds IS NOT NULL
ORDER BY r.started;
