-- Are expressions confused as people confuse them (Pearson, rows normalised)?
-- Parameters: $networks, $stimulus_set, $test_set, $people (the set of the published tables of
-- people and networks). Needs `fexp confuse`.
WITH normalised AS (
    SELECT
        observer,
        depicted,
        response,
        proportion / sum(proportion) OVER (PARTITION BY observer, depicted) AS share
    FROM responses
    WHERE study = 'zhou2022' AND stimulus_set = $people
),

pairs AS (
    SELECT
        a.observer,
        a.share,
        b.share AS of_people,
        a.depicted = a.response AS is_right
    FROM normalised AS a
    INNER JOIN normalised AS b USING (depicted, response)
    WHERE b.observer = 'human'
),

then_found AS (
    SELECT
        observer,
        'all' AS cells,
        corr(share, of_people) AS r
    FROM pairs
    GROUP BY ALL
    UNION ALL
    SELECT
        observer,
        'errors' AS cells,
        corr(share, of_people) AS r
    FROM pairs
    WHERE NOT is_right
    GROUP BY ALL
)

SELECT
    concat_ws(
        ' ', s.network, s.layer, s.units, s.selection || ':', 'r with people,', s.cells, 'cells'
    ) AS what,
    s.value AS found,
    t.r AS published
FROM similarity AS s
INNER JOIN networks AS n USING (network)
LEFT JOIN then_found AS t ON n.network_group = t.observer AND s.cells = t.cells
WHERE
    list_contains($networks, s.network)
    AND s.stimulus_set = $stimulus_set
    AND s.test_set = $test_set
    AND s.statistic = 'pearson'
    AND s.study = 'zhou2022'
    AND s.observer = 'human'
    AND s.observer_set = $people
ORDER BY s.network, s.layer, s.units, s.selection, s.run_id, s.cells;
