"""What must be so after a chaos run: each check is a function of the facts that answers what breaks it."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import attrs

from .audit_limits import limits_are_held, rates_are_held
from .audit_processes import processes_ended_as_told
from .facts import AttemptRow, Execution, Facts, RunRow
from .program import LEASE
from .workload import Expected, Order, expected

Check = Callable[[Facts], Iterator[str]]
Key = tuple[str, str]


@attrs.frozen
class Finding:
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"


def audit(facts: Facts) -> list[Finding]:
    return [
        Finding(check.__name__.replace("_", " "), message) for check in CHECKS for message in check(facts)
    ]


def what_was_acknowledged_is_there(facts: Facts) -> Iterator[str]:
    """started, canceled: acknowledgements. ended: what wait answered. gone: wait found no run.

    A run that was removed on purpose may be missing.
    """
    for entry in facts.starts:
        what, run_id = entry["what"], entry.get("run", "")
        run = facts.runs.get(run_id)
        if what == "torn" or (run is None and run_id in facts.removed):
            continue
        if run is None:
            yield f"{run_id} was acknowledged as {what}, and is not in the database"
        elif what == "started" and run.order != entry["order"]:
            yield f"{run_id} was started with order {entry['order']}, and has {run.order}"
        elif what == "ended" and run.status != entry["status"]:
            yield f"{run_id} is {run.status}, and wait answered {entry['status']}"
        elif what == "canceled" and run.status != "canceled" and not _ended_before(run, entry["wall"]):
            yield f"{run_id} is {run.status}, and cancel_run had returned before it ended"


def _ended_before(run: RunRow, wall: int) -> bool:
    return run.finished is not None and run.finished <= wall


def everything_has_ended(facts: Facts) -> Iterator[str]:
    canceled = {entry["run"] for entry in facts.starts if entry["what"] == "canceled"}
    for run in facts.runs.values():
        if run.status not in ("succeeded", "canceled"):
            yield f"{run.id} is {run.status}"
        elif run.status == "canceled" and run.id not in canceled:
            yield f"{run.id} is canceled, and nobody asked for that"
    for step in facts.steps.values():
        if step.status not in ("succeeded", "failed", "canceled"):
            yield f"{step.run}/{step.id} is {step.status}"


def products_are_right(facts: Facts) -> Iterator[str]:
    """Steps, their status, sums, records and artifacts are those that follow from the run's input.

    A canceled run may have any part of its steps and none that is wrong.
    """
    found = products_by_run(facts)
    for run in facts.runs.values():
        wanted = expected(Order(run.order))
        for what, is_there in found.get(run.id, Products()).against(wanted).items():
            have, want = is_there
            if run.status == "succeeded" and have != want:
                yield f"{run.id} has {what} {difference(have, want)}"
            elif run.status != "succeeded" and not set(have) <= set(want):
                yield f"{run.id}, which is {run.status}, has {what} {difference(have, have & want)}"


@attrs.define
class Products:
    """Of one run: pairs (step id, what it has)."""

    statuses: Counter[tuple[str, str]] = attrs.field(factory=lambda: Counter[tuple[str, str]]())
    results: Counter[tuple[str, str]] = attrs.field(factory=lambda: Counter[tuple[str, str]]())
    records: Counter[tuple[str, str]] = attrs.field(factory=lambda: Counter[tuple[str, str]]())
    artifacts: Counter[tuple[str, str]] = attrs.field(factory=lambda: Counter[tuple[str, str]]())

    def against(
        self, wanted: Expected
    ) -> dict[str, tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]]:
        """What it has, and what it should have, by kind."""
        hashes = [
            *((step, f"inline {sha}") for step, sha in wanted.inline.items()),
            *((step, f"external.ref.json {sha}") for step, sha in wanted.external.items()),
        ]
        return {
            "steps": (self.statuses, Counter(wanted.statuses.items())),
            "results": (self.results, Counter((step, str(v)) for step, v in wanted.results.items())),
            "records": (self.records, Counter((step, str(v)) for step, v in wanted.records.items())),
            "artifacts": (self.artifacts, Counter(hashes)),
        }


def products_by_run(facts: Facts) -> dict[str, Products]:
    found: dict[str, Products] = {}
    for step in facts.steps.values():
        products = found.setdefault(step.run, Products())
        is_canceled_run = step.run in facts.runs and facts.runs[step.run].status == "canceled"
        if not (is_canceled_run and step.status == "canceled"):
            products.statuses[step.id, step.status] += 1
        if step.data is not None:
            products.results[step.id, step.data] += 1
    for record in facts.records:
        key = record.step if record.key == record.step else f"{record.step} as {record.key}"
        found.setdefault(record.run, Products()).records[key, record.data] += 1
    for row in facts.artifacts:
        found.setdefault(row.run, Products()).artifacts[row.step, f"{row.name} {row.sha256}"] += 1
    return found


def difference(have: "Counter[tuple[str, str]]", want: "Counter[tuple[str, str]]") -> str:
    return (
        f"too many: {sorted((have - want).elements())[:5]}, too few: {sorted((want - have).elements())[:5]}"
    )


def a_step_succeeded_once(facts: Facts) -> Iterator[str]:
    for key, step in facts.steps.items():
        successes = sum(attempt.outcome == "succeeded" for attempt in facts.attempts.get(key, ()))
        if successes != (step.status == "succeeded"):
            yield f"{step.run}/{step.id} is {step.status} with {successes} succeeded attempts"


def attempts_are_numbered_without_gaps(facts: Facts) -> Iterator[str]:
    for key, step in facts.steps.items():
        numbers = [attempt.number for attempt in facts.attempts.get(key, ())]
        if numbers != list(range(1, step.attempt + 1)):
            yield f"{step.run}/{step.id} counts {step.attempt} attempts, and has {numbers}"
    for attempt in _all_attempts(facts):
        if attempt.finished is None:
            yield f"{_name(attempt)} has not ended"


def attempts_follow_each_other(facts: Facts) -> Iterator[str]:
    """One lease at a time; none after the end of the run."""
    for attempts in facts.attempts.values():
        for before, after in pairwise(attempts):
            if before.finished is None or before.finished > after.started:
                yield f"{_name(after)} was claimed before {_name(before)} had ended"
        last = attempts[-1]
        run = facts.runs.get(last.run)
        if run is not None and run.finished is not None and last.started > run.finished:
            yield f"{_name(last)} was claimed after its run was {run.status}"


def executions_have_leases(facts: Facts) -> Iterator[str]:
    """A physical execution belongs to one attempt of its worker; a success was executed, and to its end."""
    for key, executions in facts.executions.items():
        attempts = {attempt.number: attempt for attempt in facts.attempts.get(key, ())}
        by_attempt = Counter(execution.attempt for execution in executions)
        for execution in executions:
            attempt = attempts.get(execution.attempt)
            if execution.run in facts.removed and execution.run not in facts.runs:
                continue
            if attempt is None or attempt.worker != f"worker-{execution.pid}":
                yield f"{_what_ran(execution)} has no lease in the database"
            elif by_attempt[execution.attempt] > 1:
                yield f"{_what_ran(execution)} ran {by_attempt[execution.attempt]} times"
    for attempt in _all_attempts(facts):
        executions = facts.executions.get((attempt.run, attempt.step), [])
        ends = [execution.ended for execution in executions if execution.attempt == attempt.number]
        was_over = any(end is not None and end <= (attempt.finished or 0) for end in ends)
        if attempt.outcome == "succeeded" and not was_over:
            yield f"{_name(attempt)} succeeded, and had not been executed to its end"
        if attempt.outcome == "lease_lost" and ends and not was_over and not has_lost_the_step(attempt):
            yield f"{_name(attempt)} was taken back before its lease had run out"


def tokens_are_unique(facts: Facts) -> Iterator[str]:
    owners: dict[str, Execution] = {}
    for executions in facts.executions.values():
        for execution in executions:
            other = owners.setdefault(execution.token, execution)
            if (other.run, other.step, other.attempt) != (execution.run, execution.step, execution.attempt):
                yield f"{_what_ran(execution)} has the fencing token of {_what_ran(other)}"


def overlaps(facts: Facts) -> Iterator[tuple[Execution, Execution, AttemptRow | None]]:
    """Pairs of executions of one step that ran at once, and the earlier attempt."""
    for key, executions in facts.executions.items():
        attempts = {attempt.number: attempt for attempt in facts.attempts.get(key, ())}
        for place, later in enumerate(executions):
            for earlier in executions[:place]:
                if earlier.end is None or earlier.end > later.begin:
                    yield earlier, later, attempts.get(min(earlier.attempt, later.attempt))


def has_lost_the_step(attempt: AttemptRow | None) -> bool:
    """Whether its executor may still run for a while, beside the next: others took the step, in order."""
    if attempt is None or attempt.finished is None:
        return False
    has_run_out = attempt.finished - attempt.started >= LEASE * 1_000_000
    return attempt.outcome == "canceled" or (attempt.outcome == "lease_lost" and has_run_out)


def only_a_lost_step_is_executed_twice_at_once(facts: Facts) -> Iterator[str]:
    for earlier, later, attempt in overlaps(facts):
        if earlier.run in facts.removed and attempt is None:
            continue  # why it lost its step was removed with the run
        if not has_lost_the_step(attempt):
            outcome = "nothing" if attempt is None else attempt.outcome
            yield f"{_what_ran(later)} began while {_what_ran(earlier)} ran, which ended as {outcome}"


def artifacts_have_their_bytes(facts: Facts) -> Iterator[str]:
    for row in facts.artifacts:
        if (row.size, row.sha256) != (row.found_size, row.found_sha256):
            found = "none" if row.found_size is None else f"{row.found_size} with {row.found_sha256}"
            stored = f"{row.size} bytes with {row.sha256}"
            yield f"{row.run}/{row.step}/{row.name}: {stored} are stored, and {found} found"


def backups_are_whole(facts: Facts) -> Iterator[str]:
    """A copy is sound, and has all that had been acknowledged before it was made."""
    for entry in facts.backups:
        yield from (f"a backup of {entry['runs']} runs: {line}" for line in entry.get("found", ()))


def what_was_read_is_sound(facts: Facts) -> Iterator[str]:
    """A read transaction saw one state, and a second runtime's check found nothing."""
    for entry in facts.reads:
        yield from entry.get("found", ())


def nobody_complained(facts: Facts) -> Iterator[str]:
    """Neither the engine's own check, nor SQLite's, nor the driver."""
    yield from facts.complaints


def _all_attempts(facts: Facts) -> Iterator[AttemptRow]:
    return (attempt for attempts in facts.attempts.values() for attempt in attempts)


def _name(attempt: AttemptRow) -> str:
    return f"attempt {attempt.number} of {attempt.run}/{attempt.step}"


def _what_ran(execution: Execution) -> str:
    return f"execution {execution.attempt} of {execution.run}/{execution.step} in process {execution.pid}"


CHECKS: tuple[Check, ...] = (
    what_was_acknowledged_is_there,
    everything_has_ended,
    products_are_right,
    a_step_succeeded_once,
    attempts_are_numbered_without_gaps,
    attempts_follow_each_other,
    executions_have_leases,
    tokens_are_unique,
    only_a_lost_step_is_executed_twice_at_once,
    artifacts_have_their_bytes,
    limits_are_held,
    rates_are_held,
    processes_ended_as_told,
    backups_are_whole,
    what_was_read_is_sound,
    nobody_complained,
)
