-- One row per depicted expression and answer: those registered, of people or networks, and those
-- published.
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
