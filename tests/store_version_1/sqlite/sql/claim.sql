-- name: leased_by_queue
SELECT queue, count(*) AS running, min(expires_at) AS first_expiry, max(expires_at) AS last_expiry
FROM steps INDEXED BY steps_leased WHERE status = 'running' GROUP BY queue

-- name: first_group
SELECT queue, kind FROM steps WHERE status = 'ready' AND turn IS NOT NULL ORDER BY queue, kind LIMIT 1

-- name: next_kind
SELECT queue, kind FROM steps
WHERE status = 'ready' AND turn IS NOT NULL AND queue = :queue AND kind > :kind ORDER BY kind LIMIT 1

-- name: next_queue
SELECT queue, kind FROM steps
WHERE status = 'ready' AND turn IS NOT NULL AND queue > :queue ORDER BY queue, kind LIMIT 1

-- name: candidates
SELECT -priority AS rank, turn, step_key FROM steps
WHERE queue = :queue AND kind = :kind AND status = 'ready' AND turn IS NOT NULL
ORDER BY priority DESC, turn, step_key LIMIT :limit

-- name: delayed_due
SELECT step_key, run_key, queue FROM steps
WHERE status = 'ready' AND turn IS NULL AND ready_at <= :now ORDER BY ready_at LIMIT :limit

-- name: next_delayed
SELECT min(ready_at) FROM steps WHERE status = 'ready' AND turn IS NULL

-- name: fall_due
UPDATE steps SET turn = ? WHERE step_key = ?

-- name: lease
UPDATE steps SET status = 'running', attempt = attempt + 1, turn = NULL, updated_at = :now,
  started_at = coalesce(started_at, :now), worker_id = :worker_id, token = j.key, acquired_at = :now,
  expires_at = :expires_at, progress = NULL
FROM json_each(:leases) j WHERE steps.step_key = j.value

-- name: open_attempts
INSERT INTO attempts (step_key, number, worker_id, started_at)
SELECT s.step_key, s.attempt, s.worker_id, s.acquired_at
FROM json_each(:leases) j CROSS JOIN steps s ON s.step_key = j.value

-- name: leased_steps
SELECT s.step_key, s.run_key, s.id, s.package, s.kind, s.queue, s.attempt, s.timeout, s.ready_at, j.key AS token,
  coalesce(i.input, 'null') AS input, c.data AS saved,
  s.parent_id, s.dedup_key, coalesce(i.depends_on, '[]') AS depends_on, s.retry, s.metadata, s.priority,
  s.allow_failure, s.created_at, s.started_at, s.error
FROM json_each(:leases) j CROSS JOIN steps s ON s.step_key = j.value
LEFT JOIN step_inputs i ON i.step_key = s.step_key LEFT JOIN checkpoints c ON c.step_key = s.step_key

-- name: runs_by_key
SELECT r.*, coalesce(i.input, 'null') AS input
FROM json_each(:keys) j CROSS JOIN runs r ON r.run_key = j.value LEFT JOIN run_inputs i USING (run_key)

-- name: expired
SELECT step_key, run_key, id, package, kind, queue, attempt, charged, lost, allow_failure, retry, token, worker_id
FROM steps INDEXED BY steps_leased WHERE status = 'running' AND queue = :queue AND expires_at <= :now
ORDER BY expires_at LIMIT :limit

-- name: queue_row
SELECT max_workers, rate, burst, tat FROM queues WHERE queue = ?

-- name: queue_rows
SELECT queue, max_workers, rate, burst, tat, turn FROM queues

-- name: set_queue_turn
INSERT INTO queues (queue, turn, tat) VALUES (:queue, :turn, :tat)
ON CONFLICT (queue) DO UPDATE SET turn = max(turn, excluded.turn), tat = coalesce(excluded.tat, tat)

-- name: configure_queue
INSERT INTO queues (queue, max_workers, rate, burst, configured_at)
VALUES (:queue, :max_workers, :rate, :burst, max(:now, 1 + coalesce((
  SELECT max(acquired_at) FROM steps INDEXED BY steps_leased WHERE status = 'running' AND queue = :queue), 0)))
ON CONFLICT (queue) DO UPDATE SET max_workers = excluded.max_workers, rate = excluded.rate, burst = excluded.burst,
  configured_at = iif(max_workers IS excluded.max_workers, configured_at, excluded.configured_at)
