-- One row per stimulus of every registered set, stored in order of set and stimulus.
CREATE VIEW stimuli AS
SELECT
    stimulus_set,
    stimulus_id,
    identity,
    expression,
    morph_from,
    morph_to,
    morph_level,
    file,
    source,
    image_sha256,
    attributes,
    set_sha256
FROM stored.stimuli;
