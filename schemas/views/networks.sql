-- One row per registered network. One that is imported has the layers of which activations are
-- stored, in the order in which they came; asking for it fails where the log does not tell.
CREATE VIEW networks AS
SELECT
    network,
    any_value(network_group) AS network_group,
    any_value(architecture) AS architecture,
    any_value(training) AS training,
    any_value(weights_source) AS weights_source,
    any_value(weights_sha256) AS weights_sha256,
    any_value(seed) AS seed,
    any_value(preprocessing) AS preprocessing,
    if(
        count(*) = 1,
        any_value(layers),
        to_json(flatten(list(from_json(layers, '["JSON"]') ORDER BY created)))::VARCHAR
    ) AS layers,
    min(created) AS created,
    any_value(licence) AS licence,
    any_value(citation) AS citation,
    any_value(origins) AS origins
FROM stored.networks
WHERE
    CASE
        WHEN architecture <> 'imported' THEN true
        WHEN (
            SELECT count(*) FROM stored.broken
            WHERE table_name = 'activations'
        ) > 0
            THEN error((
                SELECT said FROM stored.broken
                WHERE table_name = 'activations'
            ))
        ELSE (network, layers ->> '$[0].name') IN (
            SELECT (network, layer)
            FROM stored.listed
            WHERE table_name = 'activations'
        )
    END
GROUP BY network
ORDER BY network;
