"""A process that holds the write lock: python -m tests.chaos.hog DATABASE SECONDS. Prints when it has it."""

import sqlite3
import sys
import time
from contextlib import closing


def hold(database: str, seconds: float) -> None:
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        print("held", flush=True)
        time.sleep(seconds)
        conn.execute("ROLLBACK")


if __name__ == "__main__":
    hold(sys.argv[1], float(sys.argv[2]))
