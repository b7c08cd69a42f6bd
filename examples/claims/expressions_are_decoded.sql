-- Do the responses tell expressions of people that were held out, and not with shuffled labels?
-- Parameters: $networks, $stimulus_set. Needs `fexp decode`.
WITH accuracies AS (
    SELECT
        network,
        layer,
        units,
        selection,
        run_id,
        if(shuffle = 0, 'svc_cross_validated', 'svc_shuffled_labels') AS model,
        sum(correct) / sum(n_test) AS accuracy
    FROM decoding
    WHERE list_contains($networks, network) AND stimulus_set = $stimulus_set
    GROUP BY ALL
)

SELECT
    concat_ws(' ', a.network, a.layer, a.units, a.selection || ':', a.model) AS what,
    a.accuracy AS found,
    p.value AS published
FROM accuracies AS a
INNER JOIN networks AS n USING (network)
LEFT JOIN published AS p
    ON
        n.network_group = p.network
        AND a.model = p.model
        AND p.quantity = 'decoding_accuracy'
ORDER BY a.network, a.layer, a.units, a.selection, a.run_id, a.model;
