-- name: read_run
SELECT r.*, coalesce(i.input, 'null') AS input
FROM runs r LEFT JOIN run_inputs i USING (run_key) WHERE r.id = :id

-- name: read_run_states
SELECT r.id, r.status FROM json_each(:ids) j CROSS JOIN runs r ON r.id = j.value

-- name: list_runs
SELECT r.*, coalesce(i.input, 'null') AS input
FROM runs r LEFT JOIN run_inputs i USING (run_key)
WHERE r.run_key < :before ORDER BY r.run_key DESC LIMIT :limit

-- name: list_runs_of_package
SELECT r.*, coalesce(i.input, 'null') AS input
FROM runs r LEFT JOIN run_inputs i USING (run_key)
WHERE r.package = :package AND r.run_key < :before AND (:status IS NULL OR r.status = :status)
ORDER BY r.run_key DESC LIMIT :limit

-- name: list_runs_of_status
SELECT r.*, coalesce(i.input, 'null') AS input
FROM runs r LEFT JOIN run_inputs i USING (run_key)
WHERE r.status = :status AND r.run_key < :before ORDER BY r.run_key DESC LIMIT :limit

-- name: list_runs_of_metadata
SELECT r.*, coalesce(i.input, 'null') AS input
FROM run_metadata m CROSS JOIN runs r USING (run_key) LEFT JOIN run_inputs i USING (run_key)
WHERE m.key = :key AND m.value = :value AND m.run_key < :before
  AND (:package IS NULL OR r.package = :package) AND (:status IS NULL OR r.status = :status)
  AND NOT EXISTS (SELECT 1 FROM json_each(:others) o WHERE NOT EXISTS (
    SELECT 1 FROM run_metadata x WHERE x.key = o.key AND x.value = o.value AND x.run_key = r.run_key))
ORDER BY m.run_key DESC LIMIT :limit

-- name: read_step
SELECT s.*, r.id AS run_id, coalesce(i.input, 'null') AS input, coalesce(i.depends_on, '[]') AS depends_on
FROM runs r CROSS JOIN steps s ON s.run_key = r.run_key AND s.id = :step_id
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE r.id = :run_id

-- name: read_aliased_step
SELECT s.*, r.id AS run_id, coalesce(i.input, 'null') AS input, coalesce(i.depends_on, '[]') AS depends_on
FROM runs r CROSS JOIN aliases a ON a.run_key = r.run_key AND a.id = :step_id
CROSS JOIN steps s ON s.step_key = a.step_key
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE r.id = :run_id

-- name: list_steps
SELECT s.*, r.id AS run_id, coalesce(i.input, 'null') AS input, coalesce(i.depends_on, '[]') AS depends_on
FROM runs r CROSS JOIN steps s INDEXED BY steps_of_run ON s.run_key = r.run_key
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE r.id = :run_id AND s.step_key > :after ORDER BY s.step_key LIMIT :limit

-- name: list_open_steps
SELECT s.*, r.id AS run_id, coalesce(i.input, 'null') AS input, coalesce(i.depends_on, '[]') AS depends_on
FROM runs r CROSS JOIN steps s INDEXED BY steps_open ON s.run_key = r.run_key
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE r.id = :run_id AND s.finished_at IS NULL AND s.status = :status AND s.step_key > :after
ORDER BY s.step_key LIMIT :limit

-- name: list_failed_steps
SELECT s.*, r.id AS run_id, coalesce(i.input, 'null') AS input, coalesce(i.depends_on, '[]') AS depends_on
FROM runs r CROSS JOIN steps s INDEXED BY steps_failed ON s.run_key = r.run_key
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE r.id = :run_id AND s.status = 'failed' AND s.step_key > :after ORDER BY s.step_key LIMIT :limit

-- name: list_steps_of_status
SELECT s.*, r.id AS run_id, coalesce(i.input, 'null') AS input, coalesce(i.depends_on, '[]') AS depends_on
FROM runs r CROSS JOIN steps s INDEXED BY steps_of_run ON s.run_key = r.run_key
LEFT JOIN step_inputs i ON i.step_key = s.step_key
WHERE r.id = :run_id AND s.status = :status AND s.step_key > :after ORDER BY s.step_key LIMIT :limit

-- name: step_attempts
SELECT number, worker_id, started_at, finished_at, outcome, error FROM attempts
WHERE step_key = :step_key ORDER BY number

-- name: step_result
SELECT data, emitted FROM results WHERE step_key = :step_key

-- name: step_records
SELECT :run_id AS run_id, :step_id AS step_id, collection, key, data FROM records
WHERE step_key = :step_key ORDER BY record_key

-- name: step_artifacts
SELECT * FROM artifacts WHERE step_key = :step_key ORDER BY artifact_key

-- name: list_records
SELECT c.record_key, r.id AS run_id, s.id AS step_id, c.collection, c.key, c.data
FROM records c CROSS JOIN runs r USING (run_key) CROSS JOIN steps s ON s.step_key = c.step_key
WHERE c.collection = :collection AND c.record_key > :after ORDER BY c.record_key LIMIT :limit

-- name: list_records_of_run
SELECT c.record_key, r.id AS run_id, s.id AS step_id, c.collection, c.key, c.data
FROM runs r CROSS JOIN records c ON c.run_key = r.run_key AND c.collection = :collection
CROSS JOIN steps s ON s.step_key = c.step_key
WHERE r.id = :run_id AND c.record_key > :after ORDER BY c.record_key LIMIT :limit

-- name: ready_by_queue
SELECT queue, count(*) AS ready, min(ready_at) AS oldest FROM steps
WHERE status = 'ready' AND turn IS NOT NULL GROUP BY queue

-- name: delayed_by_queue
SELECT queue, count(*) AS ready, min(ready_at) AS oldest FROM steps INDEXED BY steps_delayed
WHERE status = 'ready' AND turn IS NULL GROUP BY queue

-- name: latest_time
SELECT max(updated_at) FROM runs
