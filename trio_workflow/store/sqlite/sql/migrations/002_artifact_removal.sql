-- Version 2: bytes that no committed row names leave the artifact store, and none of them is forgotten.

-- What attempts put into the artifact store and did not succeed with. released: the step has succeeded without
-- it, or is gone, so that the bytes may be removed once that is durable.
CREATE TABLE attempt_artifacts (
  attempt_artifact_key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: two processes name rows by it
  run_key INTEGER NOT NULL,
  step_key INTEGER NOT NULL,
  id TEXT NOT NULL,
  uri TEXT NOT NULL,
  ref TEXT NOT NULL,
  released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
  UNIQUE (run_key, step_key, uri)
) STRICT;
CREATE INDEX attempt_artifacts_released ON attempt_artifacts (attempt_artifact_key) WHERE released = 1;

-- Bytes to be removed from the artifact store: no committed row names them, and that is durable. A row outlives its
-- run. next_try_at is 0 until the bytes were tried once.
CREATE TABLE artifact_removals (
  removal_key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: two processes name rows by it
  uri TEXT NOT NULL,
  ref TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
  error TEXT,
  next_try_at INTEGER NOT NULL DEFAULT 0,
  CHECK ((tries = 0) = (next_try_at = 0)),
  CHECK ((tries = 0) = (error IS NULL))
) STRICT;
CREATE INDEX artifact_removals_due ON artifact_removals (next_try_at, removal_key);
CREATE INDEX artifact_removals_failed ON artifact_removals (removal_key) WHERE tries > 0;

CREATE INDEX artifacts_of_uri ON artifacts (json_extract(ref, '$.uri')) WHERE ref IS NOT NULL;
