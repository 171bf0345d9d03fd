"""The same durable work by hand: the store's own schema and statements on one connection, in batches of 32.

Claim, attempt, completion, result, dependents, counters and turns of every step, with tokens as long as the
store's and its log copied back as often: what a program could reach that did nothing else. It asks for what
a worker has to read, and for nothing that is there to decide: no fence, no limits, no rates, no dates.
"""

import json
import secrets
import sqlite3
import time
from pathlib import Path

from trio_workflow.clock import WallClock
from trio_workflow.store.sqlite.log_checkpoint import LogCheckpoint
from trio_workflow.store.sqlite.opening import open_file
from trio_workflow.store.sqlite.statements import SQL

BATCH = 32
WORKER = {"worker_id": "bench-1234", "expires_at": 2}


def drain_by_hand(folder: Path, steps: int, synchronous: str) -> float:
    """Steps per second."""
    path = str(folder / "raw.db")
    conn = open_file(path, synchronous)
    log = LogCheckpoint(path, conn, WallClock())
    try:
        _fill(conn, steps)
        started = time.perf_counter()
        _drain(conn, log, steps)
        return steps / (time.perf_counter() - started)
    finally:
        log.close()
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


def _drain(conn: sqlite3.Connection, log: LogCheckpoint, steps: int) -> None:
    held: list[int] = []
    done = 0
    while done < steps:
        conn.execute("BEGIN IMMEDIATE")
        if held:
            done += len(held)
            _complete(conn, held)
            _count(conn, ready=steps - done, running=0, succeeded=done)
        held = _claim(conn)
        _count(conn, ready=steps - done - len(held), running=len(held), succeeded=done)
        conn.execute("COMMIT")
        if log.is_due():
            log.run()


def _claim(conn: sqlite3.Connection) -> list[int]:
    due = {"queue": "q", "kind": "k", "limit": BATCH}
    keys = [row["step_key"] for row in conn.execute(SQL["candidates"], due).fetchall()]
    leases = {"leases": json.dumps({secrets.token_hex(16): key for key in keys})}
    conn.execute(SQL["lease"], leases | WORKER | {"now": 1})
    conn.execute(SQL["open_attempts"], leases)
    conn.execute(SQL["leased_steps"], leases).fetchall()
    conn.execute(SQL["set_queue_turn"], {"queue": "q", "turn": max(keys, default=0), "tat": None})
    return keys


def _complete(conn: sqlite3.Connection, keys: list[int]) -> None:
    ended = {"keys": json.dumps(keys), "now": 3}
    conn.execute(SQL["succeed"], ended)
    conn.execute(SQL["close_succeeded_attempts"], ended)
    conn.executemany(SQL["insert_result"], [(key, "1", "[]") for key in keys])
    conn.execute(SQL["dependents"], {"keys": ended["keys"]}).fetchall()


def _count(conn: sqlite3.Connection, **counts: int) -> None:
    plain = dict.fromkeys(("pending", "failed", "canceled", "excused", "started_at"), 0)
    is_over = counts["succeeded"] and not counts["ready"] + counts["running"]
    row = {"run_key": 1, "turns": '{"q":1}', "status": "succeeded" if is_over else "running", "now": 3}
    conn.execute(SQL["store_tally"], plain | counts | row | {"finished_at": 3 if is_over else None})
