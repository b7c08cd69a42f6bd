-- The run that counts of each kind and key: the newest finished one. The views of results show the
-- rows of these, and a study's step is done if and only if this run has its options. A run's key
-- tells what it was run on; runs of earlier versions have none, so it is made of their parameters.
CREATE VIEW stored.newest_runs AS
WITH finished AS (
    SELECT
        run_id,
        any_value(kind) AS kind,
        any_value(key) AS key,
        any_value(parameters)::JSON AS parameters,
        min(started) AS started
    FROM stored.runs
    GROUP BY run_id
    HAVING max(seconds) IS NOT NULL
),

keyed AS (
    SELECT
        run_id,
        kind,
        started,
        json_merge_patch(  -- runs of earlier versions call C c
            parameters, json_object('C', coalesce(parameters -> 'C', parameters -> 'c'))
        ) AS parameters,
        coalesce(
            key,
            json_merge_patch(  -- which leaves out what is null
                '{}',
                json_object(
                    'factor', coalesce(
                        parameters -> 'factor', if(kind = 'select', '"expression"'::JSON, NULL)
                    ),
                    'layer', parameters -> 'layer',
                    'morph_set', parameters -> 'morph_set',
                    'name', if(kind = 'query', parameters -> 'name', NULL),
                    'network', parameters -> 'network',
                    'networks', parameters -> 'networks',
                    'stimulus_set', parameters -> 'stimulus_set',
                    'test_set', parameters -> 'test_set',
                    'two_way', parameters -> 'two_way',
                    'units', parameters -> 'units'
                )
            )::VARCHAR
        ) AS key
    FROM finished
)

SELECT
    kind,
    key,
    arg_max(run_id, started) AS run_id,
    max(started) AS started,
    arg_max(parameters, started) AS parameters
FROM keyed
GROUP BY kind, key;
