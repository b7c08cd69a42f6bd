-- One row per registered network.
CREATE VIEW networks AS
SELECT
    network,
    network_group,
    architecture,
    training,
    weights_source,
    weights_sha256,
    seed,
    preprocessing,
    layers,
    created
FROM stored.networks
ORDER BY network;
