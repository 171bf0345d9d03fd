-- name: is_in_trash
SELECT 1 FROM trash WHERE id = :id LIMIT 1

-- name: existing_run
SELECT r.run_key, r.package, coalesce(i.input, 'null') AS input
FROM runs r LEFT JOIN run_inputs i USING (run_key) WHERE r.id = :id

-- name: insert_run
INSERT INTO runs (id, package, name, status, metadata, created_at, updated_at,
  pending, ready, running, succeeded, failed, canceled, excused)
VALUES (:id, :package, :name, 'pending', :metadata, :now, :now, 0, 0, 0, 0, 0, 0, 0)

-- name: insert_run_input
INSERT INTO run_inputs (run_key, input) VALUES (:run_key, :input)

-- name: insert_run_metadata
INSERT INTO run_metadata (key, value, run_key) VALUES (?, ?, ?)

-- name: last_step_key
SELECT coalesce(max(step_key), 0) FROM steps

-- name: insert_step
INSERT INTO steps (step_key, run_key, id, parent_id, package, kind, queue, dedup_key, retry,
  metadata, priority, timeout, delay, allow_failure, status, unmet, attempt, charged, lost, turn, ready_at,
  created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?, ?)

-- name: insert_step_input
INSERT INTO step_inputs (step_key, input, depends_on) VALUES (?, ?, ?)

-- name: insert_dependency
INSERT INTO dependencies (needs_key, step_key, required) VALUES (?, ?, ?)

-- name: insert_alias
INSERT INTO aliases (run_key, id, step_key) VALUES (?, ?, ?)

-- name: known_ids
SELECT j.value AS id, s.step_key, s.id AS real_id, s.status, s.canceled_by
FROM json_each(:ids) j CROSS JOIN steps s ON s.run_key = :run_key AND s.id = j.value

-- name: known_aliases
SELECT j.value AS id, s.step_key, s.id AS real_id, s.status, s.canceled_by
FROM json_each(:ids) j
CROSS JOIN aliases a ON a.run_key = :run_key AND a.id = j.value
CROSS JOIN steps s ON s.step_key = a.step_key

-- name: known_dedup_keys
SELECT s.dedup_key, s.step_key, s.id AS real_id, s.status, s.canceled_by
FROM json_each(:keys) j
CROSS JOIN steps s ON s.run_key = :run_key AND s.dedup_key = j.value AND s.dedup_key <> ''
