-- The run that counts of each kind and key: the newest finished one. The views of results show the
-- rows of these, and a study's step is done if and only if this run has its options. A run's key
-- tells what it was run on; runs of earlier versions have none, so it is made of their parameters.
-- Those selected units on all images of the set, unless told another set or other units.
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

selecting AS (
    SELECT
        *,
        CASE
            WHEN kind NOT IN ('decode', 'confuse', 'categorize', 'rsa', 'compare') THEN NULL
            WHEN parameters ->> 'selection' IS NOT NULL THEN parameters ->> 'selection'
            WHEN parameters ->> 'units' NOT IN ('selective', 'random') THEN 'none'
            WHEN parameters ->> 'selected_on' <> parameters ->> 'stimulus_set' THEN 'elsewhere'
            ELSE 'circular'
        END AS selection
    FROM finished
),

keyed AS (
    SELECT
        run_id,
        kind,
        started,
        selection,
        json_merge_patch(  -- runs of earlier versions call C c, and do not tell the selection
            parameters,
            json_object(
                'C', coalesce(parameters -> 'C', parameters -> 'c'),
                'selection', selection
            )
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
    FROM selecting
),

complete AS (
    SELECT
        * REPLACE (
            if(
                selection IS NULL OR kind = 'rsa' OR key ->> 'selection' IS NOT NULL,
                key,
                replace(
                    key,
                    '"stimulus_set":',
                    '"selection":"' || selection || '","stimulus_set":'
                )
            ) AS key
        )
    FROM keyed
)

SELECT
    kind,
    key,
    arg_max(run_id, started) AS run_id,
    max(started) AS started,
    arg_max(parameters, started) AS parameters,
    arg_max(selection, started) AS selection
FROM complete
GROUP BY kind, key;
