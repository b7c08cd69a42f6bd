-- Every confusion matrix of the view responses as one row per cell, its value being counts if the
-- source gives counts, else proportions. Rows of single observers are summed.
SELECT
    study,
    observer,
    observer_kind,
    stimulus_set,
    depicted,
    response,
    sum(coalesce(count::DOUBLE, proportion)) AS value
FROM responses
GROUP BY ALL
ORDER BY study, observer, stimulus_set, depicted, response;
