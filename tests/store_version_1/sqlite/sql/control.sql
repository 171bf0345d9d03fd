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
SELECT run_key, id, status, finished_at FROM runs WHERE id = :id

-- name: ended_before
SELECT run_key, id FROM runs WHERE finished_at <= :before ORDER BY finished_at LIMIT :limit

-- name: remove_run
DELETE FROM runs WHERE run_key = :run_key

-- name: remove_run_input
DELETE FROM run_inputs WHERE run_key = :run_key AND :limit > 0

-- name: remove_run_metadata
DELETE FROM run_metadata WHERE (key, value, run_key) IN (
  SELECT key, value, run_key FROM run_metadata WHERE run_key = :run_key LIMIT :limit)

-- name: into_trash
INSERT INTO trash (run_key, id) VALUES (:run_key, :id)

-- name: next_trash
SELECT run_key FROM trash ORDER BY run_key LIMIT 1

-- name: out_of_trash
DELETE FROM trash WHERE run_key = :run_key

-- name: trash_refs
SELECT a.artifact_key, a.ref, coalesce(length(a.body), 0) AS size
FROM trash o CROSS JOIN artifacts a INDEXED BY artifacts_of_run ON a.run_key = o.run_key
ORDER BY o.run_key, a.artifact_key LIMIT :limit

-- name: has_artifacts
SELECT 1 FROM artifacts WHERE run_key = ? LIMIT 1

-- name: remove_artifact
DELETE FROM artifacts WHERE artifact_key = ?

-- name: trash_steps
SELECT step_key FROM steps WHERE run_key = :run_key LIMIT :limit

-- name: remove_step_inputs
DELETE FROM step_inputs WHERE step_key IN (
  SELECT t.step_key FROM json_each(:keys) j CROSS JOIN step_inputs t ON t.step_key = j.value LIMIT :limit)

-- name: remove_results
DELETE FROM results WHERE step_key IN (
  SELECT t.step_key FROM json_each(:keys) j CROSS JOIN results t ON t.step_key = j.value LIMIT :limit)

-- name: remove_checkpoints
DELETE FROM checkpoints WHERE step_key IN (
  SELECT t.step_key FROM json_each(:keys) j CROSS JOIN checkpoints t ON t.step_key = j.value LIMIT :limit)

-- name: remove_records
DELETE FROM records WHERE record_key IN (
  SELECT t.record_key FROM json_each(:keys) j CROSS JOIN records t ON t.step_key = j.value LIMIT :limit)

-- name: remove_dependencies
DELETE FROM dependencies WHERE (needs_key, step_key) IN (
  SELECT t.needs_key, t.step_key FROM json_each(:keys) j CROSS JOIN dependencies t ON t.needs_key = j.value
  LIMIT :limit)

-- name: remove_attempts
DELETE FROM attempts WHERE (step_key, number) IN (
  SELECT t.step_key, t.number FROM json_each(:keys) j CROSS JOIN attempts t ON t.step_key = j.value LIMIT :limit)

-- name: remove_steps
DELETE FROM steps WHERE step_key IN (
  SELECT t.step_key FROM json_each(:keys) j CROSS JOIN steps t ON t.step_key = j.value LIMIT :limit)

-- name: remove_aliases
DELETE FROM aliases WHERE run_key = :run_key AND id IN (
  SELECT id FROM aliases WHERE run_key = :run_key LIMIT :limit)

-- name: free_pages
PRAGMA freelist_count

-- name: all_pages
PRAGMA page_count

-- name: cut_page
PRAGMA incremental_vacuum(1)
