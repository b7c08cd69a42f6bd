-- One row per run; seconds is null for a run that is under way or was interrupted.
CREATE VIEW runs AS
SELECT
    run_id,
    any_value(kind) AS kind,
    any_value(key) AS key,
    any_value(parameters) AS parameters,
    any_value(input_versions) AS input_versions,
    any_value(software) AS software,
    any_value(git_commit) AS git_commit,
    min(started) AS started,
    max(seconds) AS seconds
FROM stored.runs
GROUP BY run_id
ORDER BY started;
