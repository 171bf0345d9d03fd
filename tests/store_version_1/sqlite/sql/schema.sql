-- The schema, version 1. Times are microseconds since 1970; statuses are the public words.
-- Integer keys inside, public ids in unique columns beside: random text keys cost more than half the speed.
-- Rows that change often are small: inputs, results and checkpoints live in tables of their own.

CREATE TABLE runs (
  run_key INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  package TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'canceled')),
  metadata TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  turns TEXT NOT NULL DEFAULT '{}',
  pending INTEGER NOT NULL CHECK (pending >= 0),
  ready INTEGER NOT NULL CHECK (ready >= 0),
  running INTEGER NOT NULL CHECK (running >= 0),
  succeeded INTEGER NOT NULL CHECK (succeeded >= 0),
  failed INTEGER NOT NULL CHECK (failed >= 0),
  canceled INTEGER NOT NULL CHECK (canceled >= 0),
  excused INTEGER NOT NULL CHECK (excused BETWEEN 0 AND failed),
  CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled'))),
  CHECK (finished_at IS NULL OR pending + ready + running = 0)
) STRICT;
-- turns: the last turn a step of the run got, by queue.
CREATE INDEX runs_of_package ON runs (package);
CREATE INDEX runs_of_status ON runs (status);
CREATE INDEX runs_ended ON runs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE run_inputs (run_key INTEGER PRIMARY KEY, input TEXT NOT NULL) STRICT;

CREATE TABLE run_metadata (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  run_key INTEGER NOT NULL,
  PRIMARY KEY (key, value, run_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_metadata_of_run ON run_metadata (run_key);

CREATE TABLE steps (
  step_key INTEGER PRIMARY KEY,
  run_key INTEGER NOT NULL,
  id TEXT NOT NULL,
  parent_id TEXT,
  package TEXT NOT NULL,
  kind TEXT NOT NULL,
  queue TEXT NOT NULL,
  dedup_key TEXT NOT NULL,
  retry TEXT NOT NULL,
  metadata TEXT NOT NULL,
  priority INTEGER NOT NULL CHECK (priority BETWEEN -9 AND 9),
  timeout INTEGER,
  delay INTEGER NOT NULL CHECK (delay >= 0),
  allow_failure INTEGER NOT NULL CHECK (allow_failure IN (0, 1)),
  status TEXT NOT NULL
    CHECK (status IN ('pending', 'ready', 'running', 'succeeded', 'failed', 'canceled')),
  unmet INTEGER NOT NULL CHECK (unmet >= 0),
  attempt INTEGER NOT NULL CHECK (attempt >= 0),
  charged INTEGER NOT NULL CHECK (charged >= 0),
  lost INTEGER NOT NULL CHECK (lost >= 0),
  turn INTEGER,
  ready_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  worker_id TEXT,
  token TEXT,
  acquired_at INTEGER,
  expires_at INTEGER,
  progress TEXT,
  error TEXT,
  canceled_by TEXT,
  CHECK ((status = 'running') = (token IS NOT NULL)),
  CHECK ((token IS NULL) = (expires_at IS NULL)),
  CHECK ((token IS NULL) = (worker_id IS NULL)),
  CHECK (turn IS NULL OR status = 'ready'),
  CHECK (status <> 'ready' OR (unmet = 0 AND ready_at IS NOT NULL)),
  CHECK (status <> 'pending' OR unmet > 0),
  CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled'))),
  UNIQUE (run_key, id)
) STRICT;
-- The steps that may start now, in the order in which they do: a claim reads from the front.
CREATE INDEX steps_due ON steps (queue, kind, priority DESC, turn, step_key)
  WHERE status = 'ready' AND turn IS NOT NULL;
-- The ready steps that wait for their date.
CREATE INDEX steps_delayed ON steps (ready_at) WHERE status = 'ready' AND turn IS NULL;
CREATE INDEX steps_leased ON steps (queue, expires_at) WHERE status = 'running';
CREATE INDEX steps_of_run ON steps (run_key);
CREATE INDEX steps_open ON steps (run_key) WHERE finished_at IS NULL;
CREATE INDEX steps_failed ON steps (run_key) WHERE status = 'failed';
CREATE UNIQUE INDEX steps_dedup ON steps (run_key, dedup_key) WHERE dedup_key <> '';

-- Only for a step with an input or with dependencies: no row means input null and none.
CREATE TABLE step_inputs (
  step_key INTEGER PRIMARY KEY,
  input TEXT NOT NULL,
  depends_on TEXT NOT NULL
) STRICT;

CREATE TABLE aliases (
  run_key INTEGER NOT NULL,
  id TEXT NOT NULL,
  step_key INTEGER NOT NULL,
  PRIMARY KEY (run_key, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dependencies (
  needs_key INTEGER NOT NULL,
  step_key INTEGER NOT NULL,
  required INTEGER NOT NULL CHECK (required IN (0, 1)),
  PRIMARY KEY (needs_key, step_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  step_key INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK (number > 0),
  worker_id TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  outcome TEXT CHECK (outcome IN
    ('succeeded', 'failed', 'retried', 'timeout', 'canceled', 'released', 'lease_lost')),
  error TEXT,
  PRIMARY KEY (step_key, number),
  CHECK ((finished_at IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

-- Only for a success that has data or emitted steps: no row means data null and nothing emitted.
-- The data comes last, since it may be large, and who looks only at the rest need not read it.
CREATE TABLE results (step_key INTEGER PRIMARY KEY, emitted TEXT NOT NULL, data TEXT NOT NULL) STRICT;

CREATE TABLE checkpoints (step_key INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;

CREATE TABLE records (
  record_key INTEGER PRIMARY KEY AUTOINCREMENT,
  run_key INTEGER NOT NULL,
  step_key INTEGER NOT NULL,
  collection TEXT NOT NULL,
  key TEXT NOT NULL,
  data TEXT NOT NULL
) STRICT;
CREATE INDEX records_of_collection ON records (collection);
CREATE INDEX records_of_run ON records (run_key, collection);
CREATE INDEX records_of_step ON records (step_key);

CREATE TABLE artifacts (
  artifact_key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: sweepers in two processes name rows by it
  run_key INTEGER NOT NULL,
  step_key INTEGER NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  content_type TEXT NOT NULL,
  metadata TEXT NOT NULL,
  size INTEGER NOT NULL CHECK (size >= 0),
  sha256 TEXT NOT NULL,
  ref TEXT,
  body BLOB,
  CHECK ((ref IS NULL) <> (body IS NULL)),
  UNIQUE (step_key, id)
) STRICT;
CREATE INDEX artifacts_of_run ON artifacts (run_key);

-- max_workers is NULL for a queue that nobody configured. configured_at: leases taken before it were under another
-- limit. tat: the rate limit's state (GCRA).
CREATE TABLE queues (
  queue TEXT PRIMARY KEY,
  max_workers INTEGER CHECK (max_workers >= 0),
  rate REAL CHECK (rate > 0),
  burst INTEGER CHECK (burst > 0),
  configured_at INTEGER,
  tat INTEGER,
  turn INTEGER NOT NULL DEFAULT 0,
  CHECK ((rate IS NULL) = (burst IS NULL))
) STRICT, WITHOUT ROWID;

-- Runs that are deleted but whose rows and bytes are not all gone yet.
CREATE TABLE trash (run_key INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
CREATE INDEX trash_ids ON trash (id);
