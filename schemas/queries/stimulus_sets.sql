-- One row per registered stimulus set.
SELECT
    stimulus_set,
    count(*) AS stimuli,
    count(DISTINCT identity) AS identities,
    string_agg(DISTINCT expression, ', ' ORDER BY expression) AS expressions,
    any_value(source) AS source,
    any_value(licence) AS licence
FROM stimuli
GROUP BY stimulus_set
ORDER BY stimulus_set;
