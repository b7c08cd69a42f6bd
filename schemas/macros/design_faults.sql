-- Cells of the expression x identity design of a stimulus set that do not hold exactly one image;
-- no row if all is well.
-- Parameters:
-- - of_stimulus_set: name of the stimulus set
-- Returns one row per faulty cell:
-- - expression, identity: the cell
-- - n: number of images in it
CREATE MACRO design_faults(of_stimulus_set) AS TABLE
WITH expressions AS (
    SELECT DISTINCT expression
    FROM stimuli
    WHERE stimulus_set = of_stimulus_set
),

identities AS (
    SELECT DISTINCT identity
    FROM stimuli
    WHERE stimulus_set = of_stimulus_set
),

images AS (
    SELECT
        expression,
        identity,
        count(*) AS n
    FROM stimuli
    WHERE stimulus_set = of_stimulus_set
    GROUP BY expression, identity
)

SELECT
    e.expression,
    i.identity,
    coalesce(n, 0) AS n
FROM expressions AS e
CROSS JOIN identities AS i
LEFT JOIN images AS m
    ON e.expression IS NOT DISTINCT FROM m.expression AND i.identity = m.identity
WHERE coalesce(n, 0) <> 1
ORDER BY ALL;
