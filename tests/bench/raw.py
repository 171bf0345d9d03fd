"""The same durable work by hand: one sqlite3 connection, batches of 32, the schema and indexes of the store.

Claim, attempt, completion, result, dependents and counters of every step, as plain statements without any of
the decisions around them: what a program could reach that did nothing else.
"""

import sqlite3
import time
from pathlib import Path

from trio_workflow.store.sqlite.opening import open_file

BATCH = 32


def drain_by_hand(folder: Path, steps: int, synchronous: str) -> float:
    """Steps per second."""
    conn = open_file(str(folder / "raw.db"), synchronous)
    try:
        _fill(conn, steps)
        started = time.perf_counter()
        _drain(conn, steps)
        return steps / (time.perf_counter() - started)
    finally:
        conn.close()


def _fill(conn: sqlite3.Connection, steps: int) -> None:
    conn.execute("BEGIN IMMEDIATE")
    conn.execute(
        """
        INSERT INTO runs (id, package, name, status, metadata, created_at, updated_at,
          pending, ready, running, succeeded, failed, canceled, excused)
        VALUES ('r', 'p', 'n', 'pending', '{}', 0, 0, 0, ?, 0, 0, 0, 0, 0)
        """,
        (steps,),
    )
    conn.executemany(
        """
        INSERT INTO steps (step_key, run_key, id, package, kind, queue, dedup_key, retry, metadata, priority,
          delay, allow_failure, status, unmet, attempt, charged, lost, turn, ready_at, created_at, updated_at)
        VALUES (?, 1, ?, 'p', 'k', 'q', '', '[3,"exponential",1.0,60.0,2.0,0.0]', '{}', 0,
          0, 0, 'ready', 0, 0, 0, 0, ?, 0, 0, 0)
        """,
        ((n, f"step:{n}", n) for n in range(1, steps + 1)),
    )
    conn.execute("COMMIT")


def _drain(conn: sqlite3.Connection, steps: int) -> None:
    held: list[int] = []
    done = 0
    while done < steps:
        conn.execute("BEGIN IMMEDIATE")
        if held:
            _complete(conn, held)
            done += len(held)
        held = _claim(conn)
        conn.execute("COMMIT")


def _claim(conn: sqlite3.Connection) -> list[int]:
    rows = conn.execute(
        """
        SELECT step_key FROM steps WHERE queue = 'q' AND kind = 'k' AND status = 'ready' AND turn IS NOT NULL
        ORDER BY priority DESC, turn, step_key LIMIT ?
        """,
        (BATCH,),
    ).fetchall()
    keys = [key for (key,) in rows]
    conn.executemany(
        """
        UPDATE steps SET status = 'running', attempt = attempt + 1, turn = NULL, worker_id = 'w', token = 't',
          acquired_at = 1, expires_at = 2, started_at = 1, updated_at = 1 WHERE step_key = ?
        """,
        rows,
    )
    conn.executemany(
        "INSERT INTO attempts (step_key, number, worker_id, started_at) VALUES (?, 1, 'w', 1)", rows
    )
    conn.execute(
        "UPDATE runs SET ready = ready - ?, running = running + ?, updated_at = 1 WHERE run_key = 1",
        (len(keys), len(keys)),
    )
    return keys


def _complete(conn: sqlite3.Connection, keys: list[int]) -> None:
    rows = [(key,) for key in keys]
    conn.executemany(
        "UPDATE steps SET status = 'succeeded', worker_id = NULL, token = NULL, acquired_at = NULL, "
        "expires_at = NULL, finished_at = 3, updated_at = 3 "
        "WHERE step_key = ? AND status = 'running' AND token = 't'",
        rows,
    )
    conn.executemany(
        "UPDATE attempts SET finished_at = 3, outcome = 'succeeded' WHERE step_key = ? AND number = 1", rows
    )
    conn.executemany("INSERT INTO results (step_key, data, emitted) VALUES (?, '1', '[]')", rows)
    for key in keys:
        conn.execute("SELECT step_key FROM dependencies WHERE needs_key = ?", (key,)).fetchall()
    conn.execute(
        "UPDATE runs SET running = running - ?, succeeded = succeeded + ?, updated_at = 3 WHERE run_key = 1",
        (len(keys), len(keys)),
    )
