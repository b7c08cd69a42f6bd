-- One row per unit and stimulus. Filter on network, layer and stimulus_set: only their files are
-- then read.
CREATE VIEW activations AS
SELECT
    network,
    layer,
    stimulus_set,
    unit_id,
    stimulus_id,
    activation
FROM stored.activations;
