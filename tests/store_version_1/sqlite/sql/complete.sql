-- name: fence
SELECT s.step_key, s.run_key, s.id, s.package, s.kind, s.queue, s.attempt, s.charged, s.lost, s.allow_failure,
  s.retry, s.token, s.worker_id
FROM json_each(:leases) j CROSS JOIN steps s ON s.step_key = j.value
WHERE s.status = 'running' AND s.token = j.key

-- name: renew
UPDATE steps SET expires_at = ?, progress = coalesce(?, progress) WHERE step_key = ?

-- name: save_checkpoint
INSERT INTO checkpoints (step_key, data) VALUES (:step_key, :data)
ON CONFLICT (step_key) DO UPDATE SET data = excluded.data

-- name: close_attempt
UPDATE attempts SET finished_at = ?, outcome = ?, error = ? WHERE step_key = ? AND number = ?

-- name: succeed
UPDATE steps SET status = 'succeeded', worker_id = NULL, token = NULL, acquired_at = NULL, expires_at = NULL,
  error = NULL, finished_at = :now, updated_at = :now
WHERE step_key IN (SELECT j.value FROM json_each(:keys) j)

-- name: close_succeeded_attempts
UPDATE attempts SET finished_at = :now, outcome = 'succeeded'
FROM json_each(:keys) j CROSS JOIN steps s ON s.step_key = j.value
WHERE attempts.step_key = s.step_key AND attempts.number = s.attempt

-- name: fail
UPDATE steps SET status = 'failed', worker_id = NULL, token = NULL, acquired_at = NULL, expires_at = NULL,
  error = :error, charged = :charged, lost = :lost, finished_at = :now, updated_at = :now
WHERE step_key = :step_key

-- name: ready_again
UPDATE steps SET status = 'ready', worker_id = NULL, token = NULL, acquired_at = NULL, expires_at = NULL,
  error = coalesce(:error, error), charged = :charged, lost = :lost, ready_at = :ready_at, turn = :turn,
  finished_at = NULL, updated_at = :now
WHERE step_key = :step_key

-- name: insert_result
INSERT INTO results (step_key, data, emitted) VALUES (?, ?, ?)

-- name: insert_record
INSERT INTO records (run_key, step_key, collection, key, data) VALUES (?, ?, ?, ?, ?)

-- name: insert_artifact
INSERT INTO artifacts (run_key, step_key, id, name, kind, content_type, metadata, size, sha256, ref, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: wake
UPDATE steps SET unmet = unmet - w.met, updated_at = :now
FROM (SELECT d.step_key, count(*) AS met FROM json_each(:keys) j
      CROSS JOIN dependencies d ON d.needs_key = j.value GROUP BY d.step_key) w
WHERE steps.step_key = w.step_key AND steps.status = 'pending' AND steps.unmet > w.met

-- name: dependents
SELECT s.step_key, s.run_key, s.queue, s.delay, s.unmet - w.met AS still_unmet
FROM (SELECT d.step_key, count(*) AS met FROM json_each(:keys) j
      CROSS JOIN dependencies d ON d.needs_key = j.value GROUP BY d.step_key) w
CROSS JOIN steps s ON s.step_key = w.step_key
WHERE s.status = 'pending'
ORDER BY s.step_key

-- name: make_ready
UPDATE steps SET status = 'ready', unmet = 0, ready_at = ?, turn = ?, updated_at = ? WHERE step_key = ?

-- name: blocked
SELECT s.step_key, s.run_key, s.id, s.package, s.kind, s.queue, s.attempt, d.needs_key
FROM json_each(:keys) j CROSS JOIN dependencies d ON d.needs_key = j.value
CROSS JOIN steps s ON s.step_key = d.step_key
WHERE s.status = 'pending' AND d.required = 1
ORDER BY s.step_key

-- name: cancel_step
UPDATE steps SET status = 'canceled', worker_id = NULL, token = NULL, acquired_at = NULL, expires_at = NULL,
  turn = NULL, canceled_by = ?, finished_at = ?, updated_at = ? WHERE step_key = ?

-- name: load_tally
SELECT id, package, name, status, started_at, turns, pending, ready, running, succeeded, failed, canceled,
  excused
FROM runs WHERE run_key = ?

-- name: store_tally
UPDATE runs SET status = :status, turns = :turns, started_at = :started_at, finished_at = :finished_at, updated_at = :now,
  pending = :pending, ready = :ready, running = :running, succeeded = :succeeded, failed = :failed,
  canceled = :canceled, excused = :excused
WHERE run_key = :run_key

-- name: queue_turn
SELECT turn FROM queues WHERE queue = ?
