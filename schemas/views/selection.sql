-- One row per finished search for selective units (fexp select), in order of time: its options, the
-- count and what chance does.
CREATE VIEW selection AS
SELECT s.* RENAME (expected AS expected_by_alpha)
FROM stored.selection AS s
INNER JOIN runs AS r USING (run_id)
WHERE r.seconds IS NOT NULL
ORDER BY r.started;
