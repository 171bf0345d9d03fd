"""Fills a store with finished steps, as a long-lived one has them."""

import sqlite3
from pathlib import Path

from trio_workflow.store.sqlite.opening import open_file


def add_finished(folder: Path, steps: int) -> None:
    """One ended run with that many succeeded steps, each with its attempt and result."""
    conn = open_file(str(folder / "engine.db"), "OFF")
    try:
        conn.execute("BEGIN IMMEDIATE")
        _insert(conn, steps)
        conn.execute("COMMIT")
    finally:
        conn.close()


def _insert(conn: sqlite3.Connection, steps: int) -> None:
    conn.execute(
        """
        INSERT INTO runs (id, package, name, status, metadata, created_at, updated_at, started_at,
          finished_at, pending, ready, running, succeeded, failed, canceled, excused)
        VALUES ('old', 'bench', 'old', 'succeeded', '{}', 1, 1, 1, 1, 0, 0, 0, ?, 0, 0, 0)
        """,
        (steps,),
    )
    counter = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?)"
    conn.execute(
        f"""
        INSERT INTO steps (step_key, run_key, id, package, kind, queue, dedup_key, retry, metadata, priority,
          delay, allow_failure, status, unmet, attempt, charged, lost, ready_at, created_at, updated_at,
          started_at, finished_at)
        {counter}
        SELECT k, 1, 'step:' || k, 'bench', 'work', 'q', '', '[3,"exponential",1.0,60.0,2.0,0.0]', '{{}}', 0,
          0, 0, 'succeeded', 0, 1, 0, 0, 1, 1, 1, 1, 1 FROM n
        """,
        (steps,),
    )
    conn.execute(
        f"""
        INSERT INTO attempts (step_key, number, worker_id, started_at, finished_at, outcome)
        {counter} SELECT k, 1, 'w', 1, 1, 'succeeded' FROM n
        """,
        (steps,),
    )
    conn.execute(
        f"INSERT INTO results (step_key, data, emitted) {counter} SELECT k, '1', '[]' FROM n", (steps,)
    )
