-- The check_* statements answer the rows that break an invariant: subject, message. None: it holds. Each looks
-- at the step keys, run keys or artifact keys from :first to :last, or, with neither, at what is running.

-- name: first_step_after
SELECT min(step_key) FROM steps WHERE step_key > :after

-- name: survey_of_steps
SELECT coalesce(sum(attempt), 0) AS attempts, count(*) FILTER (WHERE status <> 'succeeded') AS others
FROM steps WHERE step_key BETWEEN :first AND :last

-- name: survey_of_attempts
SELECT count(*) AS total, coalesce(sum(a.number > s.attempt OR CASE s.status
  WHEN 'succeeded' THEN (a.outcome IS 'succeeded') <> (a.number = s.attempt)
  WHEN 'running' THEN (a.outcome IS NULL) <> (a.number = s.attempt) OR a.outcome IS 'succeeded'
  ELSE a.outcome IS NULL OR a.outcome = 'succeeded' END), 0) AS odd
FROM attempts a CROSS JOIN steps s USING (step_key) WHERE a.step_key BETWEEN :first AND :last

-- name: runs_after
SELECT run_key, pending + ready + running + succeeded + failed + canceled AS steps FROM runs
WHERE run_key > :after ORDER BY run_key LIMIT :limit

-- name: check_lease_data
SELECT 'step ' || r.id || '/' || s.id AS subject, 'is ' || s.status || ' and its lease columns disagree' AS message
FROM steps s CROSS JOIN runs r USING (run_key)
WHERE s.step_key BETWEEN :first AND :last AND CASE s.status
  WHEN 'running' THEN s.token IS NULL OR s.expires_at IS NULL OR s.worker_id IS NULL OR s.acquired_at IS NULL
  ELSE coalesce(s.token, s.expires_at, s.worker_id, s.acquired_at) IS NOT NULL END

-- name: check_attempt_numbers
SELECT 'step ' || r.id || '/' || s.id AS subject, 'counts ' || s.attempt || ' attempts, and has '
  || iif(count(a.number), count(a.number) || ' rows numbered up to ' || max(a.number), 'no row') AS message
FROM steps s CROSS JOIN runs r USING (run_key) LEFT JOIN attempts a USING (step_key)
WHERE s.step_key BETWEEN :first AND :last
GROUP BY s.step_key HAVING count(a.number) <> s.attempt OR max(a.number) <> s.attempt

-- name: check_attempt_ends
SELECT 'attempt ' || a.number || ' of step ' || r.id || '/' || s.id AS subject,
  'is open while the step is ' || s.status AS message
FROM attempts a CROSS JOIN steps s USING (step_key) CROSS JOIN runs r USING (run_key)
WHERE a.step_key BETWEEN :first AND :last AND a.outcome IS NULL
  AND (s.status <> 'running' OR a.number <> s.attempt)
UNION ALL
SELECT 'step ' || r.id || '/' || s.id, 'is running and its last attempt has ended as ' || a.outcome
FROM steps s CROSS JOIN runs r USING (run_key)
CROSS JOIN attempts a ON a.step_key = s.step_key AND a.number = s.attempt
WHERE s.step_key BETWEEN :first AND :last AND s.status = 'running' AND a.outcome IS NOT NULL

-- name: check_one_success
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is ' || s.status || ' with ' || count(a.number) || ' succeeded attempts' AS message
FROM steps s CROSS JOIN runs r USING (run_key)
LEFT JOIN attempts a ON a.step_key = s.step_key AND a.outcome = 'succeeded'
WHERE s.step_key BETWEEN :first AND :last
GROUP BY s.step_key HAVING count(a.number) <> (s.status = 'succeeded')

-- name: check_no_step_is_lost
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is pending, counts ' || s.unmet || ' unmet dependencies, and has ' || c.open AS message
FROM (SELECT p.step_key, (
    SELECT count(*) FROM json_each(i.depends_on) j
    CROSS JOIN steps n ON n.run_key = p.run_key AND n.id = json_extract(j.value, '$[0]')
    WHERE +n.finished_at IS NULL
  ) AS open FROM steps p LEFT JOIN step_inputs i USING (step_key)
  WHERE p.step_key BETWEEN :first AND :last AND p.status = 'pending') c
CROSS JOIN steps s USING (step_key) CROSS JOIN runs r USING (run_key) WHERE s.unmet <> c.open

-- name: check_started_after_dependencies
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is ' || s.status || ' although required ' || n.id || ' is ' || n.status AS message
FROM steps n CROSS JOIN dependencies d ON d.needs_key = n.step_key CROSS JOIN steps s ON s.step_key = d.step_key
CROSS JOIN runs r ON r.run_key = s.run_key
WHERE n.step_key BETWEEN :first AND :last AND n.status <> 'succeeded' AND d.required = 1
  AND s.status IN ('ready', 'running', 'succeeded', 'failed')

-- name: check_failure_reaches_dependents
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is pending although required ' || n.id || ' is ' || n.status AS message
FROM steps n CROSS JOIN dependencies d ON d.needs_key = n.step_key CROSS JOIN steps s ON s.step_key = d.step_key
CROSS JOIN runs r ON r.run_key = s.run_key
WHERE n.step_key BETWEEN :first AND :last AND n.status IN ('failed', 'canceled') AND d.required = 1
  AND s.status = 'pending'

-- name: check_canceled_has_a_cause
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is canceled in a run that is not, and its cause ' || coalesce(s.canceled_by, '(none)')
  || ' is not a failed step' AS message
FROM steps s CROSS JOIN runs r USING (run_key)
WHERE s.step_key BETWEEN :first AND :last AND s.status = 'canceled' AND r.status <> 'canceled' AND NOT EXISTS (
  SELECT 1 FROM steps c WHERE c.run_key = s.run_key AND c.id = s.canceled_by AND c.status = 'failed')

-- name: check_products_of_success
SELECT 'step ' || r.id || '/' || s.id AS subject, 'is ' || s.status || ' and has stored ' || CASE
  WHEN EXISTS (SELECT 1 FROM results x WHERE x.step_key = s.step_key) THEN 'a result'
  WHEN EXISTS (SELECT 1 FROM records x WHERE x.step_key = s.step_key) THEN 'records'
  ELSE 'artifacts' END AS message
FROM steps s CROSS JOIN runs r USING (run_key)
WHERE s.step_key BETWEEN :first AND :last AND s.status <> 'succeeded' AND (
  EXISTS (SELECT 1 FROM results x WHERE x.step_key = s.step_key)
  OR EXISTS (SELECT 1 FROM records x WHERE x.step_key = s.step_key)
  OR EXISTS (SELECT 1 FROM artifacts x WHERE x.step_key = s.step_key))

-- name: check_emitted_exist
SELECT 'step ' || r.id || '/' || s.id AS subject, 'emitted ' || j.value || ', which does not exist' AS message
FROM results e CROSS JOIN steps s USING (step_key) CROSS JOIN runs r USING (run_key)
CROSS JOIN json_each(e.emitted) j
WHERE e.step_key BETWEEN :first AND :last AND e.emitted <> '[]'
  AND NOT EXISTS (SELECT 1 FROM steps c WHERE c.run_key = s.run_key AND c.id = j.value)

-- name: check_counters
WITH unlike AS MATERIALIZED (
  SELECT r.run_key FROM runs r LEFT JOIN steps s INDEXED BY steps_of_run ON s.run_key = r.run_key
  WHERE r.run_key BETWEEN :first AND :last GROUP BY r.run_key
  HAVING r.pending + r.ready + r.running + r.failed + r.canceled + r.excused > 0
    OR count(s.step_key) <> r.succeeded OR total(s.status = 'succeeded') <> r.succeeded)
SELECT 'run ' || r.id AS subject,
  'counts ' || json_array(r.pending, r.ready, r.running, r.succeeded, r.failed, r.canceled, r.excused)
  || ' and has ' || json_array(c.pending, c.ready, c.running, c.succeeded, c.failed, c.canceled, c.excused)
  AS message
FROM (
  SELECT u.run_key, coalesce(sum(s.status = 'pending'), 0) AS pending, coalesce(sum(s.status = 'ready'), 0) AS ready,
    coalesce(sum(s.status = 'running'), 0) AS running, coalesce(sum(s.status = 'succeeded'), 0) AS succeeded,
    coalesce(sum(s.status = 'failed'), 0) AS failed, coalesce(sum(s.status = 'canceled'), 0) AS canceled,
    coalesce(sum(s.status = 'failed' AND s.allow_failure), 0) AS excused
  FROM unlike u LEFT JOIN steps s INDEXED BY steps_of_run ON s.run_key = u.run_key GROUP BY u.run_key) c
CROSS JOIN runs r USING (run_key)
WHERE (r.pending, r.ready, r.running, r.succeeded, r.failed, r.canceled, r.excused)
  <> (c.pending, c.ready, c.running, c.succeeded, c.failed, c.canceled, c.excused)

-- name: check_run_status
SELECT 'run ' || id AS subject, 'is ' || status || ' with ' || (pending + ready + running) || ' open steps and '
  || (failed - excused) || ' failures' AS message
FROM runs
WHERE run_key BETWEEN :first AND :last AND CASE
  WHEN status = 'canceled' THEN pending + ready + running > 0
  WHEN pending + ready + running > 0 THEN status <> iif(started_at IS NULL, 'pending', 'running')
  ELSE status <> iif(failed > excused, 'failed', 'succeeded') END

-- name: check_one_lease_per_token
SELECT 'token of step ' || min(id) AS subject, count(*) || ' steps share one fencing token' AS message
FROM steps INDEXED BY steps_leased WHERE status = 'running' GROUP BY token HAVING count(*) > 1

-- name: check_queue_limits
SELECT 'queue ' || q.queue AS subject,
  'has ' || count(*) || ' leases that were claimed under its limit of ' || q.max_workers AS message
FROM queues q JOIN steps s INDEXED BY steps_leased USING (queue)
WHERE s.status = 'running' AND s.acquired_at >= q.configured_at
GROUP BY q.queue HAVING count(*) > q.max_workers

-- name: check_artifact_sizes
SELECT 'artifact ' || id AS subject, 'has a size of ' || size || ' and a body of ' || length(body) AS message
FROM artifacts WHERE artifact_key BETWEEN :first AND :last AND body IS NOT NULL AND length(body) <> size

-- name: artifacts_after
SELECT artifact_key, coalesce(length(body), 0) AS bytes FROM artifacts
WHERE artifact_key > :after ORDER BY artifact_key LIMIT :limit

-- name: inline_bodies
SELECT id, body, sha256 FROM artifacts WHERE artifact_key BETWEEN :first AND :last AND body IS NOT NULL
