"""A process that only reads: python -m tests.load.reader DATABASE SEED, until SIGTERM.

A plain sqlite3 connection comes, stays for a while with a read transaction open, and goes. It is the only
one of its process, so that closing it makes SQLite look whether it is the last of all.
"""

import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from types import FrameType

from chaos.program import begin_process

LONGEST_STAY, LONGEST_PAUSE = 3.0, 1.0
STAYS = 0.15
"""The share of visits that stay: meanwhile the log cannot be copied, and the database gets no shorter."""


class Visits:
    """is_over: SIGTERM came."""

    def __init__(self, path: str, seed: str) -> None:
        self._path, self._random = path, random.Random(seed)
        self.is_over = False

    def end(self, number: int, frame: FrameType | None) -> None:
        self.is_over = True

    def go_on(self) -> None:
        while not self.is_over:
            self._visit(self._random.uniform(0, LONGEST_STAY) if self._random.random() < STAYS else 0.0)
            time.sleep(self._random.uniform(0, LONGEST_PAUSE))

    def _visit(self, seconds: float) -> None:
        """One transaction sees one state of the store, however long it stays."""
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as conn:
            conn.execute("BEGIN")
            before = conn.execute("SELECT count(*), max(run_key) FROM runs").fetchone()
            time.sleep(seconds)
            after = conn.execute("SELECT count(*), max(run_key) FROM runs").fetchone()
            conn.execute("COMMIT")
        if before != after:
            raise AssertionError(f"one read transaction saw {before}, then {after}")


if __name__ == "__main__":
    begin_process()
    visits = Visits(*sys.argv[1:])
    signal.signal(signal.SIGTERM, visits.end)
    visits.go_on()
