-- name: open_steps
SELECT step_key, id, package, kind, queue, attempt, status, token FROM steps INDEXED BY steps_open
WHERE run_key = :run_key AND finished_at IS NULL ORDER BY step_key

-- name: step_of
SELECT s.step_key, s.run_key, s.id, s.status, s.queue, s.allow_failure, s.attempt, s.package, s.kind
FROM steps s WHERE s.run_key = :run_key AND s.id = :step_id

-- name: failed_steps
SELECT step_key, run_key, id, status, queue, allow_failure, attempt, package, kind
FROM steps INDEXED BY steps_failed WHERE run_key = :run_key AND status = 'failed' ORDER BY step_key

-- name: canceled_dependents
SELECT s.step_key, s.run_key, coalesce(i.depends_on, '[]') AS depends_on, s.canceled_by
FROM json_each(:keys) j CROSS JOIN dependencies d ON d.needs_key = j.value
CROSS JOIN steps s ON s.step_key = d.step_key
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE d.required = 1 AND s.status = 'canceled'
GROUP BY s.step_key ORDER BY s.step_key

-- name: step_states
SELECT s.id, s.status, s.canceled_by FROM json_each(:ids) j
CROSS JOIN steps s ON s.run_key = :run_key AND s.id = j.value

-- name: revive
UPDATE steps SET status = 'pending', unmet = ?, canceled_by = NULL, finished_at = NULL, updated_at = ?
WHERE step_key = ?

-- name: set_cause
UPDATE steps SET canceled_by = ? WHERE step_key = ?

-- name: unmeet
UPDATE steps SET unmet = unmet + w.open
FROM (SELECT d.step_key, count(*) AS open FROM json_each(:keys) j
      CROSS JOIN dependencies d ON d.needs_key = j.value WHERE d.required = 0 GROUP BY d.step_key) w
WHERE steps.step_key = w.step_key AND steps.status = 'pending'

-- name: run_head
SELECT run_key, id, status, finished_at, metadata FROM runs WHERE id = :id

-- name: ended_before
SELECT run_key, id, metadata FROM runs WHERE finished_at <= :before ORDER BY finished_at LIMIT :limit

-- name: remove_run
DELETE FROM runs WHERE run_key = :run_key

-- name: remove_run_input
DELETE FROM run_inputs WHERE run_key = :run_key

-- name: remove_run_metadata
DELETE FROM run_metadata WHERE key = ? AND value = ? AND run_key = ?

-- name: into_trash
INSERT INTO trash (run_key, id) VALUES (:run_key, :id)

-- name: next_trash
SELECT run_key FROM trash ORDER BY run_key LIMIT 1

-- name: out_of_trash
DELETE FROM trash WHERE run_key = :run_key

-- name: trash_refs
SELECT artifact_key, ref FROM artifacts WHERE run_key = :run_key ORDER BY artifact_key LIMIT :limit

-- name: remove_artifact
DELETE FROM artifacts WHERE artifact_key = ?

-- name: trash_steps
SELECT step_key FROM steps WHERE run_key = :run_key LIMIT :limit

-- name: remove_step_input
DELETE FROM step_inputs WHERE step_key = ?

-- name: remove_dependencies
DELETE FROM dependencies WHERE needs_key = ?

-- name: remove_attempts
DELETE FROM attempts WHERE step_key = ?

-- name: remove_result
DELETE FROM results WHERE step_key = ?

-- name: remove_checkpoint
DELETE FROM checkpoints WHERE step_key = ?

-- name: remove_records
DELETE FROM records WHERE step_key = ?

-- name: remove_step
DELETE FROM steps WHERE step_key = ?

-- name: remove_aliases
DELETE FROM aliases WHERE run_key = :run_key
