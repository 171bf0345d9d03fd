"""Ways to damage a sound run: what processes did, logged and left."""

import logging
from typing import Any

from chaos.journal import FAULTS

from .audit_kit import JOURNAL, PID, QUIET, Copy, breaks

ASKED = "processes ended as asked"


def _exit(copy: Copy, **change: Any) -> None:
    copy.edit(FAULTS, lambda entry: entry | change if entry["what"] == "exit" else entry)


@breaks(ASKED, f"service {PID} was asked for nothing, and ended with 1")
def a_process_that_crashed(copy: Copy) -> None:
    _exit(copy, wanted="", code=1)


@breaks(ASKED, f"service {PID} was asked for restart, and ended with -9")
def a_process_that_somebody_else_killed(copy: Copy) -> None:
    _exit(copy, code=-9)


@breaks(ASKED, "service 7 was not seen to end")
def a_process_without_an_end(copy: Copy) -> None:
    copy.note("launch", FAULTS, role="service", pid=7)


@breaks(ASKED, f"service {PID} hangs")
def a_process_that_hangs(copy: Copy) -> None:
    copy.note("stuck", FAULTS, role="service")


@breaks(ASKED, "1 entries of the journals are torn, and 0 processes were killed")
def a_torn_entry(copy: Copy) -> None:
    path = copy.site.logs / JOURNAL
    path.write_text(path.read_text() + '\n{"what": "sta')


@breaks("nobody wrote a traceback", "a looker wrote a traceback:\n    Traceback (most recent call last):")
def a_traceback(copy: Copy) -> None:
    (copy.site.logs / "looker.stderr").write_text("a line\nTraceback (most recent call last):\n  File ...\n")


@breaks("nobody wrote a traceback", "Exception ignored in")
def a_resource_that_was_not_closed(copy: Copy) -> None:
    (copy.site.logs / "cron.stderr").write_text("Exception ignored in: <sqlite3.Connection>\n")


@breaks("locks are held", f"service {PID} had a runtime open, and held no lock of SQLite on engine.db, ")
def a_lock_that_was_dropped(copy: Copy) -> None:
    copy.note("lock missing", FAULTS, role="service", file="engine.db")


QUIET_LOG = "the log is quiet"


@breaks(QUIET_LOG, "logged CRITICAL: the workflow engine cannot go on: was truncated")
def a_crash_in_the_log(copy: Copy) -> None:
    copy.log(logging.CRITICAL, "the workflow engine cannot go on: was truncated")


@breaks(QUIET_LOG, 'logged WARNING: steps of kind "leaf" wait')
def a_warning_of_another_kind(copy: Copy) -> None:
    copy.log(logging.WARNING, 'steps of kind "leaf" wait for a process that has an executor for it')


@breaks(QUIET_LOG, "logged ERROR: leases could not be renewed: the store is locked")
def an_expected_warning_that_is_an_error(copy: Copy) -> None:
    copy.log(logging.ERROR, "leases could not be renewed: the store is locked")


LEAKS = "nothing leaks"


@breaks(LEAKS, "has left open ['engine.db']")
def a_file_that_was_left_open(copy: Copy) -> None:
    copy.note("left", **(QUIET | {"left_open": ["engine.db"]}))


@breaks(LEAKS, "has closed what it had before: ['journal']")
def a_file_of_others_that_was_closed(copy: Copy) -> None:
    copy.note("left", **(QUIET | {"closed_too_many": ["journal"]}))


@breaks(LEAKS, "has left threads that work: ['commit']")
def a_thread_that_goes_on(copy: Copy) -> None:
    copy.note("left", **(QUIET | {"busy_threads": ["commit"]}))


@breaks(LEAKS, "had 1000 threads")
def too_many_threads(copy: Copy) -> None:
    copy.note("left", **(QUIET | {"threads_at_peak": 1000}))


@breaks(LEAKS, "has grown from 50 MB in the middle to 500 MB")
def memory_that_grows(copy: Copy) -> None:
    copy.note("left", **(QUIET | {"memory_at_the_end": 500 * 2**20}))


@breaks("reads kept their promises", "run-0 has the sum 12, and 13 is right")
def a_read_that_was_wrong(copy: Copy) -> None:
    copy.note("wrong", message="run-0 has the sum 12, and 13 is right")
