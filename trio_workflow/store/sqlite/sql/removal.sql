-- name: insert_attempt_artifact
INSERT INTO attempt_artifacts (run_key, step_key, id, uri, ref, released)
VALUES (:run_key, :step_key, :id, :uri, :ref, :released) ON CONFLICT (run_key, step_key, uri) DO NOTHING

-- name: release_attempt_artifacts
UPDATE attempt_artifacts SET released = 1 WHERE run_key = :run_key AND step_key = :step_key AND released = 0

-- name: status_of_step
SELECT s.status FROM steps s CROSS JOIN runs r USING (run_key)
WHERE s.step_key = :step_key AND s.run_key = :run_key

-- name: artifacts_to_release
SELECT t.artifact_key, json_extract(t.ref, '$.uri') AS uri, t.ref, coalesce(length(t.body), 0) AS size
FROM trash o CROSS JOIN artifacts t INDEXED BY artifacts_of_run ON t.run_key = o.run_key
ORDER BY o.run_key, t.artifact_key LIMIT :limit

-- name: attempt_artifacts_to_release
SELECT t.attempt_artifact_key, t.run_key, t.step_key, t.id, t.uri, t.ref
FROM trash o CROSS JOIN attempt_artifacts t ON t.run_key = o.run_key LIMIT :limit

-- name: released_attempt_artifacts
SELECT attempt_artifact_key, run_key, step_key, id, uri, ref
FROM attempt_artifacts INDEXED BY attempt_artifacts_released WHERE released = 1
ORDER BY attempt_artifact_key LIMIT :limit

-- name: remove_artifact
DELETE FROM artifacts WHERE artifact_key = ?

-- name: remove_attempt_artifact
DELETE FROM attempt_artifacts WHERE attempt_artifact_key = ?

-- name: is_committed_uri
SELECT 1 FROM artifacts a INDEXED BY artifacts_of_uri CROSS JOIN runs r ON r.run_key = a.run_key
WHERE a.ref IS NOT NULL AND json_extract(a.ref, '$.uri') = :uri LIMIT 1

-- name: committed_artifact
SELECT a.sha256, json_extract(a.ref, '$.uri') AS uri FROM artifacts a CROSS JOIN runs r ON r.run_key = a.run_key
WHERE a.step_key = :step_key AND a.id = :id AND a.run_key = :run_key AND a.ref IS NOT NULL

-- name: insert_removal
INSERT INTO artifact_removals (uri, ref) VALUES (:uri, :ref)

-- name: has_artifacts
SELECT 1 FROM artifacts WHERE run_key = ? LIMIT 1

-- name: has_attempt_artifacts
SELECT 1 FROM attempt_artifacts WHERE run_key = ? LIMIT 1

-- name: due_removals
SELECT removal_key, ref FROM artifact_removals WHERE next_try_at <= :until
ORDER BY next_try_at, removal_key LIMIT :limit

-- name: failed_removals
SELECT removal_key, ref FROM artifact_removals INDEXED BY artifact_removals_failed
WHERE tries > 0 AND removal_key > :after ORDER BY removal_key LIMIT :limit

-- name: remove_removal
DELETE FROM artifact_removals WHERE removal_key = ?

-- name: removal_state
SELECT tries, next_try_at FROM artifact_removals WHERE removal_key = ?

-- name: postpone_removal
UPDATE artifact_removals SET tries = :tries, next_try_at = :next_try_at, error = :error
WHERE removal_key = :removal_key

-- name: has_rows_to_remove
SELECT EXISTS (SELECT 1 FROM trash)
  OR EXISTS (SELECT 1 FROM attempt_artifacts INDEXED BY attempt_artifacts_released WHERE released = 1)

-- name: next_removal
SELECT next_try_at FROM artifact_removals ORDER BY next_try_at, removal_key LIMIT 1
