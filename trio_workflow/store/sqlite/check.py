"""The state invariants, asked of the store: each is one statement that finds the rows that break it.

Rule: a question is put to one state of the store, and no read transaction lasts long, since the log cannot be
used again from its start while one does. What must agree is changed in one transaction and looked at in one:
a step with its attempts, products and dependencies, by ranges of step keys; a run's counters with all of its
steps, by ranges of run keys. So only a run of more steps than one look takes makes a look longer.
PRAGMA quick_check would see more of SQLite's own structure, but reads a table in one transaction.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from trio_workflow.model.records import Violation
from trio_workflow.store.sqlite.statements import SQL

SHOWN = 100  # violations of one invariant that are answered
STEPS_AT_ONCE = 20_000  # steps of one look: some 20 ms
BYTES_AT_ONCE = 16 * 1024**2  # of inline artifacts, in one look

OF_RUNNING = ("check_one_lease_per_token", "check_queue_limits")
OF_STEPS = ("check_lease_data", "check_emitted_exist")
OF_ATTEMPTS = ("check_attempt_numbers", "check_attempt_ends", "check_one_success")
OF_OTHERS = (
    "check_no_step_is_lost",
    "check_started_after_dependencies",
    "check_failure_reaches_dependents",
    "check_canceled_has_a_cause",
    "check_products_of_success",
)
"""What only a step that has not succeeded can break, or be the reason for."""
OF_RUNS = ("check_counters", "check_run_status")
OF_ARTIFACTS = ("check_artifact_sizes",)
OF_REMOVALS = ("check_removals_name_no_artifact",)
OF_ATTEMPT_ARTIFACTS = ("check_attempt_artifacts",)
CHECKS = (
    *OF_RUNNING,
    *OF_STEPS,
    *OF_ATTEMPTS,
    *OF_OTHERS,
    *OF_RUNS,
    *OF_ARTIFACTS,
    *OF_REMOVALS,
    *OF_ATTEMPT_ARTIFACTS,
)


@attrs.define
class Report:
    """What was found so far."""

    found: list[Violation] = attrs.field(factory=list[Violation])
    _shown: Counter[str] = attrs.field(factory=Counter[str])

    def ask(self, conn: sqlite3.Connection, names: Iterable[str], first: int = 0, last: int = 0) -> None:
        for name in names:
            invariant = name.removeprefix("check_").replace("_", " ")
            rows = conn.execute(SQL[name], {"first": first, "last": last})
            for subject, message in rows.fetchmany(SHOWN):
                self.add(invariant, subject, message)

    def add(self, invariant: str, subject: str, message: str) -> None:
        self._shown[invariant] += 1
        if self._shown[invariant] <= SHOWN:
            self.found.append(Violation(invariant=invariant, subject=subject, message=message))


Look = Callable[[Report, int, sqlite3.Connection], int | None]
"""Looks at what comes after a key, in one read transaction; answers how far it came, None at the end."""


def look_at_running(report: Report, _after: int, conn: sqlite3.Connection) -> None:
    report.ask(conn, OF_RUNNING)


def look_at_steps(report: Report, after: int, conn: sqlite3.Connection) -> int | None:
    first: int | None = conn.execute(SQL["first_step_after"], {"after": after}).fetchone()[0]
    if first is None:
        return None
    keys = {"first": first, "last": first + STEPS_AT_ONCE - 1}
    report.ask(conn, OF_STEPS, **keys)
    counted, others = conn.execute(SQL["survey_of_steps"], keys).fetchone()
    if others:
        report.ask(conn, OF_OTHERS, **keys)
    # Numbers of one step's attempts differ. If none is greater than the step's count, and there are as many
    # rows as the steps count together, then each step has the numbers from 1 to its count.
    total, odd = conn.execute(SQL["survey_of_attempts"], keys).fetchone()
    if odd or total != counted:
        report.ask(conn, OF_ATTEMPTS, **keys)
    return keys["last"]


def look_at_runs(report: Report, after: int, conn: sqlite3.Connection) -> int | None:
    rows = conn.execute(SQL["runs_after"], {"after": after, "limit": STEPS_AT_ONCE})
    last = _far_enough(rows, STEPS_AT_ONCE)
    if last is not None:
        report.ask(conn, OF_RUNS, after + 1, last)
    return last


def look_at_artifacts(report: Report, after: int, conn: sqlite3.Connection) -> int | None:
    rows = conn.execute(SQL["artifacts_after"], {"after": after, "limit": STEPS_AT_ONCE})
    last = _far_enough(rows, BYTES_AT_ONCE)
    if last is not None:
        report.ask(conn, OF_ARTIFACTS, after + 1, last)
        for artifact_id, body, sha256 in conn.execute(
            SQL["inline_bodies"], {"first": after + 1, "last": last}
        ):
            if hashlib.sha256(body).hexdigest() != sha256:
                report.add("artifact bytes", f"artifact {artifact_id}", "differs from its SHA-256")
    return last


def check_removals(report: Report, after: int, conn: sqlite3.Connection) -> int | None:
    return _check_range(report, after, conn, "removals_after", OF_REMOVALS)


def check_attempt_artifacts(report: Report, after: int, conn: sqlite3.Connection) -> int | None:
    return _check_range(report, after, conn, "attempt_artifacts_after", OF_ATTEMPT_ARTIFACTS)


def _check_range(
    report: Report, after: int, conn: sqlite3.Connection, rows_after: str, names: Iterable[str]
) -> int | None:
    last = _far_enough(conn.execute(SQL[rows_after], {"after": after, "limit": STEPS_AT_ONCE}), STEPS_AT_ONCE)
    if last is not None:
        report.ask(conn, names, after + 1, last)
    return last


def _far_enough(rows: Iterable[tuple[int, int]], enough: int) -> int | None:
    """The key at which the sizes, added up, are enough; the last key if they never are."""
    key, total = None, 0
    for key, size in rows:  # noqa: B007 - the key it ends with is the answer
        total += size
        if total >= enough:
            break
    return key


def look_at_sound_rows(look: Look, report: Report, after: int, conn: sqlite3.Connection) -> int | None:
    """That look. A value that no row of ours can have is damage that SQLite itself did not notice."""
    try:
        return look(report, after, conn)
    except (TypeError, ValueError) as error:
        raise _damage(error) from error
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):
            raise
        raise _damage(error) from error  # not from SQLite: what it found could not be made a str


def _damage(error: Exception) -> sqlite3.Error:
    damage = sqlite3.DatabaseError(f"a row holds what none can: {error}")
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return damage


LOOKS: tuple[Look, ...] = (
    look_at_running,
    look_at_steps,
    look_at_runs,
    look_at_artifacts,
    check_removals,
    check_attempt_artifacts,
)
