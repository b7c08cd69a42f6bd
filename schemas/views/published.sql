-- One row per figure of Zhou et al. (2022), read off its plots; provenance says from which.
CREATE VIEW published AS
SELECT
    study,
    quantity,
    network,
    continuum,
    expression,
    model,
    value,
    provenance
FROM stored.published_results;
