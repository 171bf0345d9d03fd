"""How the processes ended, and what they wrote to standard error."""

import signal
from collections.abc import Iterator

from .facts import Entry, Facts

IN_ORDER = 0
CUT_OFF = -signal.SIGKILL
HELPERS = ("hog", "backup", "reader")
NO_DESCRIPTORS = ("Too many open files", "unable to open database file")
BEFORE_IT_LISTENED = {-signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT, -signal.SIGUSR1, -signal.SIGUSR2}
SHOWN = 20  # lines of a traceback
LAST_LINES = 150  # of the log of a process that did not end


def processes_ended_as_told(facts: Facts) -> Iterator[str]:
    ended = {entry["pid"] for entry in facts.noted("exit")}
    for entry in facts.noted("launch"):
        if entry["pid"] not in ended:
            yield f"{_name(entry)} has not ended"
    for entry in facts.noted("exit"):
        if not _is_as_told(facts, entry):
            told = entry["wanted"] or "nothing"
            yield f"{_name(entry)} was told {told}, and ended with {entry['code']}"
    for entry in facts.noted("stuck"):
        yield (
            f"{_name(entry)} was told {entry['wanted']}, and did not end within {entry['seconds']} s: "
            f"{entry['state']}\n    {_end_of_log(facts, entry['pid'])}"
        )
    killed = len(facts.noted("kill"))
    if facts.torn > killed:
        yield f"{facts.torn} entries of the journals are torn, and {killed} processes were killed"
    excused = without_descriptors(facts)
    logs = {entry.get("log") for entry in facts.noted("launch") if entry["pid"] in excused}
    reported = set[str]()
    for name, text in facts.errors.items():
        role, excerpt = name.partition("-")[0], traceback_in(text)
        if excerpt and name not in logs and role not in reported:
            reported.add(role)
            yield f"a {role} wrote a traceback:\n    {excerpt}"


def _end_of_log(facts: Facts, pid: int) -> str:
    logs = [entry.get("log", "") for entry in facts.noted("launch") if entry["pid"] == pid]
    lines = "\n".join(facts.errors.get(log, "") for log in logs).splitlines()
    return "\n    ".join(lines[-LAST_LINES:])


def without_descriptors(facts: Facts) -> set[int]:
    """Workers that ended by themselves for want of descriptors. Nothing that is stored may suffer from it."""
    taken = {entry["pid"] for entry in facts.noted("descriptors")}
    logs = {entry["pid"]: facts.errors.get(entry.get("log", ""), "") for entry in facts.noted("launch")}
    return {
        entry["pid"]
        for entry in facts.noted("exit")
        if entry["pid"] in taken
        and entry["code"] not in (IN_ORDER, CUT_OFF)
        and any(word in logs.get(entry["pid"], "") for word in NO_DESCRIPTORS)
    }


def traceback_in(text: str) -> str:
    """The beginning of the first one."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("Traceback") or line.lstrip(" +|").startswith("Exception Group Traceback"):
            return "\n    ".join(lines[number : number + SHOWN])
    return ""


def _is_as_told(facts: Facts, entry: Entry) -> bool:
    code, wanted = entry["code"], entry["wanted"]
    if entry["role"] not in HELPERS and entry["pid"] not in facts.ready and code in BEFORE_IT_LISTENED:
        return True  # it may have been told to end in order before it was killed
    if wanted == "kill":
        return code in (CUT_OFF, IN_ORDER)  # it may have been ending already
    if entry["role"] in HELPERS:
        return bool(code == IN_ORDER)
    if entry["pid"] in without_descriptors(facts):
        return True
    return bool(wanted) and code == IN_ORDER


def _name(entry: Entry) -> str:
    return f"{entry['role']} {entry['pid']}"
