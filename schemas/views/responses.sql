-- One row per depicted expression and answer: those that were registered, of people or networks, and
-- the published ones.
CREATE VIEW responses AS
SELECT
    study,
    observer,
    observer_kind,
    stimulus_set,
    depicted,
    response,
    count,
    proportion,
    provenance
FROM stored.responses
UNION ALL
SELECT
    study,
    observer,
    observer_kind,
    stimulus_set,
    depicted,
    response,
    NULL AS count,
    proportion,
    provenance
FROM stored.published_confusions;
