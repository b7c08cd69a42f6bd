-- How many stimuli of a set are stored for a layer, and how many the set has.
-- Parameters: $network, $layer, $stimulus_set.
SELECT
    (
        SELECT coalesce(sum(rows) // max(unit_stop), 0)::BIGINT
        FROM fragments
        WHERE network = $network AND layer = $layer AND stimulus_set = $stimulus_set
    ) AS stored,
    (
        SELECT count(*)
        FROM stimuli
        WHERE stimulus_set = $stimulus_set
    ) AS in_set;
