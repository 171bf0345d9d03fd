"""How the processes ended, what they logged, which locks they lacked, and what they left open."""

import re
import signal
from collections.abc import Iterator

from .facts import Facts
from .journals import Entry

CUT_OFF = {"kill": {-signal.SIGKILL}, "restart": {-signal.SIGTERM}, "cancel": {-signal.SIGHUP}}
"""How a process may end that was asked to: by the signal itself, as long as it had no handler for it yet."""

EXPECTED_WARNINGS = (
    r"nothing is started until the workflow store can be written: .*locked",
    r"leases could not be renewed: .*locked",
    r"other processes' work cannot be looked at: .*locked",
    r"ended runs could not be removed: .*locked",
    r".*checkpoint.*",  # a reader stays, and the log grows meanwhile
)
"""A process that is stopped while it holds the write lock keeps it for as long."""

MAX_THREADS = 400
MAX_GROWTH, GROWTH_SLACK = 1.5, 64 * 2**20
"""Memory at the end of a run, against the middle."""

SHOWN = 20
"""Lines of a traceback."""


def processes_ended_as_asked(facts: Facts) -> Iterator[str]:
    exits = {entry["pid"]: entry for entry in facts.of_parent("exit")}
    for entry in facts.of_parent("stuck"):
        yield f"{_name(entry)} hangs: its threads are in the log {entry['role']}.stderr"
    for entry in facts.of_parent("launch"):
        end = exits.get(entry["pid"])
        if end is None:
            yield f"{_name(entry)} was not seen to end"
        elif end["code"] not in {0, *CUT_OFF.get(end["wanted"], ())}:
            asked = end["wanted"] or "nothing"
            yield f"{_name(entry)} was asked for {asked}, and ended with {end['code']}"
    killed, torn = len(facts.of_parent("kill")), len(facts.of("torn"))
    if torn > killed:
        yield f"{torn} entries of the journals are torn, and {killed} processes were killed"


def nobody_wrote_a_traceback(facts: Facts) -> Iterator[str]:
    for role, text in facts.errors.items():
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if line.lstrip(" +|").startswith(("Traceback", "Exception Group Traceback", "Exception ignored")):
                excerpt = "\n    ".join(_excerpt(lines[number:]))
                yield f"a {role} wrote a traceback:\n    {excerpt}"
                break


def _excerpt(lines: list[str]) -> list[str]:
    """The head of a traceback, and the first error that it ends in."""
    errors = (line for line in lines[SHOWN:] if re.match(r"[ |+]*[\w.]+(Error|Exception): ", line))
    return [*lines[:SHOWN], *([error] if (error := next(errors, None)) else [])]


def locks_are_held(facts: Facts) -> Iterator[str]:
    for entry in facts.of_parent("lock missing"):
        after = (entry["at"] - facts.parent[0]["at"]) / 1e9
        held = f"held no lock of SQLite on {entry['file']}"
        yield f"{_name(entry)} had a runtime open, and {held}, {after:.1f} s after the first launch"


def the_log_is_quiet(facts: Facts) -> Iterator[str]:
    for entry in facts.of("log"):
        is_expected = any(re.match(pattern, entry["message"]) for pattern in EXPECTED_WARNINGS)
        if entry["level"] != "WARNING" or not is_expected:
            yield f"process {entry['pid']} logged {entry['level']}: {entry['message']}"


def nothing_leaks(facts: Facts) -> Iterator[str]:
    for entry in facts.of("left"):
        who = f"process {entry['pid']}"
        if entry["left_open"]:
            yield f"{who} has left open {entry['left_open']}"
        if entry["closed_too_many"]:
            yield f"{who} has closed what it had before: {entry['closed_too_many']}"
        if entry["busy_threads"]:
            yield f"{who} has left threads that work: {entry['busy_threads']}"
        if entry["threads_at_peak"] > MAX_THREADS:
            yield f"{who} had {entry['threads_at_peak']} threads"
        middle, end = entry["memory_in_the_middle"], entry["memory_at_the_end"]
        if entry["is_measured"] and middle and end > MAX_GROWTH * middle + GROWTH_SLACK:
            yield f"{who} has grown from {middle / 2**20:.0f} MB in the middle to {end / 2**20:.0f} MB"


def _name(entry: Entry) -> str:
    return f"{entry['role']} {entry['pid']}"


PROCESS_CHECKS = (
    processes_ended_as_asked,
    nobody_wrote_a_traceback,
    locks_are_held,
    the_log_is_quiet,
    nothing_leaks,
)
