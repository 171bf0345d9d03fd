"""A process that reads and stays: python -m tests.chaos.reader ROOT SECONDS.

It is a plain connection of SQLite with one read transaction, which must see the same state from its beginning
to its end. When it closes its connection it may be the last that SQLite knows of.
"""

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from . import journal
from .journal import Journal
from .program import Site, begin_process

_STATE = "SELECT count(*), sum(attempt), max(updated_at) FROM steps"


def read(site: Site, seconds: float) -> list[str]:
    """What two reads of one transaction disagree about. A file that cannot be read now is left alone."""
    try:
        with closing(sqlite3.connect(site.database, timeout=5, isolation_level=None)) as conn:
            conn.execute("BEGIN")
            before = conn.execute(_STATE).fetchone()
            time.sleep(seconds)
            after = conn.execute(_STATE).fetchone()
            conn.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if "malformed" in str(error):
            raise
        return []
    return [] if before == after else [f"one read transaction saw {before}, and then {after}"]


if __name__ == "__main__":
    begin_process()
    place = Site(Path(sys.argv[1]))
    Journal(place.logs / journal.READS).note("read", found=read(place, float(sys.argv[2])))
