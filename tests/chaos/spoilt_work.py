"""Ways to spoil a sound run: leases, executions, bytes, limits, and how processes ended."""

from collections.abc import Callable
from typing import Any

from . import journal
from .audit_kit import PID, Copy, breaks
from .workload import BURST

FOLLOW = "attempts follow each other"


@breaks(FOLLOW, "attempt 2 of run-0/leaf-2 was claimed before attempt 1 of run-0/leaf-2 had ended")
def two_leases_at_once(copy: Copy) -> None:
    copy.sql(
        "UPDATE attempts SET started_at = started_at - 10000000 "
        f"WHERE number = 2 AND step_key = {copy.step('leaf-2')}"
    )


@breaks(FOLLOW, "attempt 1 of run-0/leaf-0 was claimed after its run was succeeded")
def a_claim_after_the_end(copy: Copy) -> None:
    copy.sql(
        f"UPDATE attempts SET started_at = 1 << 60, finished_at = 1 << 61 WHERE step_key = {copy.step()}"
    )


LEASED = "executions have leases"


def execution(copy: Copy, what: str, step: str, attempt: int, **facts: Any) -> None:
    copy.note(
        journal.EXECUTIONS, what, **({"run": "run-0", "step": step, "attempt": attempt, "token": "t"} | facts)
    )


@breaks(LEASED, f"execution 2 of run-0/leaf-0 in process {PID} has no lease in the database")
def an_execution_without_a_lease(copy: Copy) -> None:
    execution(copy, "begin", "leaf-0", 2)


@breaks(LEASED, "in process 7 has no lease in the database")
def an_execution_in_another_process(copy: Copy) -> None:
    copy.edit(
        journal.EXECUTIONS, lambda entry: entry | {"pid": 7} if entry.get("step") == "leaf-0" else entry
    )


@breaks(LEASED, f"execution 1 of run-0/leaf-0 in process {PID} ran 2 times")
def a_lease_that_is_used_twice(copy: Copy) -> None:
    execution(copy, "begin", "leaf-0", 1)


def is_of(entry: dict[str, Any], step: str) -> bool:
    return (entry.get("run"), entry.get("step")) == ("run-0", step)


def longer_execution(step: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The first execution of that step ends much later."""

    def change(entry: dict[str, Any]) -> dict[str, Any]:
        is_it = is_of(entry, step) and (entry["what"], entry["attempt"]) == ("end", 1)
        return entry | {"at": entry["at"] + 10**15, "wall": 2**60} if is_it else entry

    return change


@breaks(LEASED, "attempt 1 of run-0/leaf-0 succeeded, and had not been executed to its end")
def a_success_that_was_not_executed(copy: Copy) -> None:
    copy.edit(journal.EXECUTIONS, lambda entry: None if is_of(entry, "leaf-0") else entry)


@breaks(LEASED, "attempt 1 of run-0/leaf-0 succeeded, and had not been executed to its end")
def a_success_that_another_handed_in(copy: Copy) -> None:
    copy.edit(journal.EXECUTIONS, longer_execution("leaf-0"))


@breaks(LEASED, "attempt 1 of run-0/leaf-2 was taken back before its lease had run out")
def a_lease_that_is_taken_back_early(copy: Copy) -> None:
    copy.sql(
        f"UPDATE attempts SET outcome = 'lease_lost' WHERE number = 1 AND step_key = {copy.step('leaf-2')}"
    )
    copy.edit(journal.EXECUTIONS, longer_execution("leaf-2"))


@breaks("tokens are unique", "has the fencing token of execution 1 of run-0/leaf-")
def a_token_that_is_used_again(copy: Copy) -> None:
    copy.edit(
        journal.EXECUTIONS,
        lambda entry: (
            entry | {"token": "same"} if is_of(entry, "leaf-0") or is_of(entry, "leaf-1") else entry
        ),
    )


OVERLAP = "only a lost step is executed twice at once"


@breaks(OVERLAP, f"began while execution 1 of run-0/leaf-2 in process {PID} ran, which ended as retried")
def two_executions_at_once(copy: Copy) -> None:
    copy.edit(journal.EXECUTIONS, longer_execution("leaf-2"))


BYTES = "artifacts have their bytes"


@breaks(BYTES, "are stored, and none found")
def bytes_that_are_not_there(copy: Copy) -> None:
    copy.sql("UPDATE artifacts SET ref = json_set(ref, '$.uri', 'file:///nowhere') WHERE ref IS NOT NULL")


@breaks(BYTES, "run-0/leaf-1/inline: ")
def other_bytes(copy: Copy) -> None:
    copy.sql(f"UPDATE artifacts SET body = zeroblob(size) WHERE step_key = {copy.step('leaf-1')}")


@breaks(BYTES, "run-0/leaf-2/external.ref.json: 7 bytes with")
def another_size(copy: Copy) -> None:
    copy.sql(f"UPDATE artifacts SET size = 7 WHERE step_key = {copy.step('leaf-2')}")


@breaks("limits are held", "queue narrow had 3 leases at 1,")
def a_limit_that_was_passed(copy: Copy) -> None:
    claims = "SELECT step_key FROM steps WHERE queue = 'narrow' AND id LIKE '%:child' LIMIT 3"
    copy.sql(f"UPDATE attempts SET started_at = 1, finished_at = 2 WHERE step_key IN ({claims})")


@breaks("rates are held", "claims within 0.0 s")
def a_rate_that_was_passed(copy: Copy) -> None:
    claims = "SELECT step_key FROM steps WHERE queue = 'rated'"
    copy.sql(f"UPDATE attempts SET started_at = 5 WHERE step_key IN ({claims})")


@breaks("rates are held", f"queue rated had {BURST + 1} claims within 0.04")
def a_rate_that_was_passed_by_one(copy: Copy) -> None:
    """A burst, and one more a little before its time: 1/20 s."""
    claims = "SELECT step_key FROM steps WHERE queue = 'rated'"
    copy.sql(
        f"UPDATE attempts SET started_at = 1000000 WHERE step_key IN ({claims})",
        f"UPDATE attempts SET started_at = 1049000 WHERE step_key = {copy.step('rated-0')}",
    )


TOLD = "processes ended as told"


@breaks(TOLD, f"worker {PID} was told nothing, and ended with 0")
def an_end_that_nobody_asked_for(copy: Copy) -> None:
    copy.edit(journal.FAULTS, lambda entry: entry | {"wanted": ""})


@breaks(TOLD, "worker 7 has not ended")
def a_process_that_is_left(copy: Copy) -> None:
    copy.note(journal.FAULTS, "launch", role="worker", pid=7)


@breaks(TOLD, f"worker {PID} was told drain, and did not end within 40 s")
def a_process_that_is_stuck(copy: Copy) -> None:
    copy.note(journal.FAULTS, "stuck", role="worker", wanted="drain", seconds=40, state="S")


@breaks(TOLD, "1 entries of the journals are torn, and 0 processes were killed")
def a_torn_entry(copy: Copy) -> None:
    with (copy.site.logs / journal.EXECUTIONS).open("a") as file:
        file.write('\n{"what": "beg')


@breaks(TOLD, "a worker wrote a traceback:\n    Traceback (most recent call last):\n    ZeroDivisionError")
def a_traceback(copy: Copy) -> None:
    (copy.site.logs / "worker.stderr").write_text(
        "fine\nTraceback (most recent call last):\nZeroDivisionError\n"
    )


@breaks(TOLD, "a worker wrote a traceback")
def a_traceback_of_a_group(copy: Copy) -> None:
    (copy.site.logs / "worker.stderr").write_text("  + Exception Group Traceback (most recent call last):\n")


@breaks("backups are whole", "a backup of 7 runs: run-3 had been acknowledged, and is not in the copy")
def a_backup_that_lacks_a_run(copy: Copy) -> None:
    found = ["run-3 had been acknowledged, and is not in the copy"]
    copy.note(journal.BACKUPS, "backup", runs=7, found=found)


@breaks("what was read is sound", "one read transaction saw (1,), and then (2,)")
def a_read_that_sees_two_states(copy: Copy) -> None:
    copy.note(journal.READS, "read", found=["one read transaction saw (1,), and then (2,)"])


@breaks("nobody complained", "integrity_check: ")
def a_database_that_is_not_sound(copy: Copy) -> None:
    copy.sql("UPDATE steps SET priority = 99 WHERE id = 'leaf-0'")
