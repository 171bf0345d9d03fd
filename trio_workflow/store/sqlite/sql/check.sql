-- Each statement answers the rows that break an invariant: subject, message. None: it holds.

-- name: check_no_step_is_lost
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is pending, counts ' || s.unmet || ' unmet dependencies, and has ' || c.open AS message
FROM (SELECT p.step_key, (
    SELECT count(*) FROM json_each(i.depends_on) j
    JOIN steps n ON n.run_key = p.run_key AND n.id = json_extract(j.value, '$[0]') WHERE n.finished_at IS NULL
  ) AS open FROM steps p JOIN step_inputs i USING (step_key) WHERE p.status = 'pending') c
JOIN steps s USING (step_key) JOIN runs r USING (run_key) WHERE s.unmet <> c.open

-- name: check_lease_data
SELECT 'step ' || r.id || '/' || s.id AS subject, 'is ' || s.status || ' and its lease columns disagree' AS message
FROM steps s JOIN runs r USING (run_key)
WHERE (s.status = 'running') <> (s.token IS NOT NULL) OR (s.token IS NULL) <> (s.expires_at IS NULL)
  OR (s.token IS NULL) <> (s.worker_id IS NULL) OR (s.token IS NULL) <> (s.acquired_at IS NULL)

-- name: check_one_lease_per_token
SELECT 'token of step ' || min(id) AS subject, count(*) || ' steps share one fencing token' AS message
FROM steps WHERE status = 'running' GROUP BY token HAVING count(*) > 1

-- name: check_attempt_numbers
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'counts ' || s.attempt || ' attempts, and has ' || a.total || ' rows numbered up to ' || a.last AS message
FROM (SELECT step_key, count(*) AS total, max(number) AS last FROM attempts GROUP BY step_key) a
JOIN steps s USING (step_key) JOIN runs r USING (run_key)
WHERE a.total <> s.attempt OR a.last <> s.attempt
UNION ALL
SELECT 'step ' || r.id || '/' || s.id, 'counts ' || s.attempt || ' attempts, and has no row'
FROM steps s JOIN runs r USING (run_key)
WHERE s.attempt > 0 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.step_key = s.step_key)

-- name: check_attempt_ends
SELECT 'attempt ' || a.number || ' of step ' || r.id || '/' || s.id AS subject,
  'is open while the step is ' || s.status AS message
FROM attempts a JOIN steps s USING (step_key) JOIN runs r USING (run_key)
WHERE a.outcome IS NULL AND (s.status <> 'running' OR a.number <> s.attempt)
UNION ALL
SELECT 'step ' || r.id || '/' || s.id, 'is running and its last attempt has ended as ' || a.outcome
FROM steps s JOIN runs r USING (run_key) JOIN attempts a ON a.step_key = s.step_key AND a.number = s.attempt
WHERE s.status = 'running' AND a.outcome IS NOT NULL

-- name: check_one_success
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is ' || s.status || ' with ' || a.successes || ' succeeded attempts' AS message
FROM (SELECT step_key, count(*) AS successes FROM attempts WHERE outcome = 'succeeded' GROUP BY step_key) a
JOIN steps s USING (step_key) JOIN runs r USING (run_key) WHERE a.successes > 1 OR s.status <> 'succeeded'
UNION ALL
SELECT 'step ' || r.id || '/' || s.id, 'is succeeded and no attempt of it succeeded'
FROM steps s JOIN runs r USING (run_key) WHERE s.status = 'succeeded' AND NOT EXISTS (
  SELECT 1 FROM attempts a WHERE a.step_key = s.step_key AND a.outcome = 'succeeded')

-- name: check_started_after_dependencies
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is ' || s.status || ' although required ' || n.id || ' is ' || n.status AS message
FROM dependencies d CROSS JOIN steps s ON s.step_key = d.step_key CROSS JOIN steps n ON n.step_key = d.needs_key
CROSS JOIN runs r ON r.run_key = s.run_key
WHERE d.required = 1 AND s.status IN ('ready', 'running', 'succeeded', 'failed') AND n.status <> 'succeeded'

-- name: check_failure_reaches_dependents
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is pending although required ' || n.id || ' is ' || n.status AS message
FROM dependencies d CROSS JOIN steps s ON s.step_key = d.step_key CROSS JOIN steps n ON n.step_key = d.needs_key
CROSS JOIN runs r ON r.run_key = s.run_key
WHERE d.required = 1 AND s.status = 'pending' AND n.status IN ('failed', 'canceled')

-- name: check_canceled_has_a_cause
SELECT 'step ' || r.id || '/' || s.id AS subject,
  'is canceled in a run that is not, and its cause ' || coalesce(s.canceled_by, '(none)')
  || ' is not a failed step' AS message
FROM steps s JOIN runs r USING (run_key)
WHERE s.status = 'canceled' AND r.status <> 'canceled' AND NOT EXISTS (
  SELECT 1 FROM steps c WHERE c.run_key = s.run_key AND c.id = s.canceled_by AND c.status = 'failed')

-- name: check_counters
SELECT 'run ' || r.id AS subject,
  'counts ' || json_array(r.pending, r.ready, r.running, r.succeeded, r.failed, r.canceled, r.excused)
  || ' and has ' || json_array(coalesce(c.pending, 0), coalesce(c.ready, 0), coalesce(c.running, 0),
    coalesce(c.succeeded, 0), coalesce(c.failed, 0), coalesce(c.canceled, 0), coalesce(c.excused, 0)) AS message
FROM runs r LEFT JOIN (
  SELECT run_key, sum(status = 'pending') AS pending, sum(status = 'ready') AS ready,
    sum(status = 'running') AS running, sum(status = 'succeeded') AS succeeded, sum(status = 'failed') AS failed,
    sum(status = 'canceled') AS canceled, sum(status = 'failed' AND allow_failure) AS excused
  FROM steps GROUP BY run_key) c USING (run_key)
WHERE (r.pending, r.ready, r.running, r.succeeded, r.failed, r.canceled, r.excused) IS NOT
  (coalesce(c.pending, 0), coalesce(c.ready, 0), coalesce(c.running, 0), coalesce(c.succeeded, 0),
   coalesce(c.failed, 0), coalesce(c.canceled, 0), coalesce(c.excused, 0))

-- name: check_run_status
SELECT 'run ' || id AS subject, 'is ' || status || ' with ' || (pending + ready + running) || ' open steps and '
  || (failed - excused) || ' failures' AS message
FROM runs
WHERE CASE
  WHEN status = 'canceled' THEN pending + ready + running > 0
  WHEN pending + ready + running > 0 THEN status <> iif(started_at IS NULL, 'pending', 'running')
  ELSE status <> iif(failed > excused, 'failed', 'succeeded') END

-- name: check_queue_limits
SELECT 'queue ' || q.queue AS subject,
  'has ' || count(*) || ' leases that were claimed under its limit of ' || q.max_workers AS message
FROM queues q JOIN steps s INDEXED BY steps_leased USING (queue)
WHERE s.status = 'running' AND s.acquired_at >= q.configured_at
GROUP BY q.queue HAVING count(*) > q.max_workers

-- name: check_products_of_success
SELECT 'step ' || r.id || '/' || s.id AS subject, 'is ' || s.status || ' and has stored ' || p.what AS message
FROM (SELECT step_key, 'a result' AS what FROM results UNION SELECT step_key, 'records' FROM records
      UNION SELECT step_key, 'artifacts' FROM artifacts) p
JOIN steps s USING (step_key) JOIN runs r USING (run_key) WHERE s.status <> 'succeeded'

-- name: check_emitted_exist
SELECT 'step ' || r.id || '/' || s.id AS subject, 'emitted ' || j.value || ', which does not exist' AS message
FROM results e JOIN steps s USING (step_key) JOIN runs r USING (run_key) CROSS JOIN json_each(e.emitted) j
WHERE NOT EXISTS (SELECT 1 FROM steps c WHERE c.run_key = s.run_key AND c.id = j.value)

-- name: check_artifact_sizes
SELECT 'artifact ' || id AS subject, 'has a size of ' || size || ' and a body of ' || length(body) AS message
FROM artifacts WHERE body IS NOT NULL AND length(body) <> size

-- name: inline_bodies
SELECT id, body, sha256 FROM artifacts WHERE body IS NOT NULL
