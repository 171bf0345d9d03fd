"""Ways to spoil a sound run: what was acknowledged, what was stored, and how attempts are numbered."""

from . import journal
from .audit_kit import Copy, breaks

ACKNOWLEDGED = "what was acknowledged is there"


@breaks(ACKNOWLEDGED, "run-9 was acknowledged as started, and is not in the database")
def a_start_that_was_lost(copy: Copy) -> None:
    copy.note(journal.STARTS, "started", run="run-9", order=9)


@breaks(ACKNOWLEDGED, "run-1 was started with order 1, and has 7")
def another_input(copy: Copy) -> None:
    copy.sql("UPDATE run_inputs SET input = json_set(input, '$.number', 7) WHERE input LIKE '%\"number\":1%'")


@breaks(ACKNOWLEDGED, "run-1 is succeeded, and wait answered canceled")
def a_wait_that_was_wrong(copy: Copy) -> None:
    copy.note(journal.STARTS, "ended", run="run-1", status="canceled")


@breaks(ACKNOWLEDGED, "run-1 is succeeded, and cancel_run had returned before it ended")
def a_cancel_that_was_lost(copy: Copy) -> None:
    copy.note(journal.STARTS, "canceled", run="run-1", wall=0)


ENDED = "everything has ended"


@breaks(ENDED, "run-0 is running")
def a_run_that_goes_on(copy: Copy) -> None:
    copy.sql("UPDATE runs SET status = 'running' WHERE id = 'run-0'")


@breaks(ENDED, "run-0 is failed")
def a_run_that_failed(copy: Copy) -> None:
    copy.sql("UPDATE runs SET status = 'failed' WHERE id = 'run-0'")


@breaks(ENDED, "run-0/leaf-0 is ready")
def a_step_that_goes_on(copy: Copy) -> None:
    copy.sql(f"UPDATE steps SET status = 'ready' WHERE step_key = {copy.step()}")


@breaks(ENDED, "run-2 is canceled, and nobody asked for that")
def a_cancel_that_nobody_asked_for(copy: Copy) -> None:
    copy.edit(journal.STARTS, lambda entry: None if entry["what"] == "canceled" else entry)


PRODUCTS = "products are right"


@breaks(PRODUCTS, "run-0 has results too many: [('join', '12')]")
def a_wrong_sum(copy: Copy) -> None:
    copy.sql(f"UPDATE results SET data = '12' WHERE step_key = {copy.step('join')}")


@breaks(PRODUCTS, "run-0 has steps too many: [('leaf-0:child', 'canceled')]")
def a_child_that_was_canceled(copy: Copy) -> None:
    copy.sql(f"UPDATE steps SET status = 'canceled' WHERE step_key = {copy.step('leaf-0:child')}")


@breaks(PRODUCTS, "too few: [('proof', 'succeeded')]")
def an_emitted_step_that_is_missing(copy: Copy) -> None:
    copy.sql(f"DELETE FROM steps WHERE step_key = {copy.step('proof')}")


@breaks(PRODUCTS, "run-0 has records too many: [], too few: [('leaf-3'")
def a_record_that_is_missing(copy: Copy) -> None:
    copy.sql(f"DELETE FROM records WHERE step_key = {copy.step('leaf-3')}")


@breaks(PRODUCTS, "run-0 has records too many: [('leaf-3'")
def a_record_that_is_there_twice(copy: Copy) -> None:
    columns = "run_key, step_key, collection, key, data"
    copy.sql(
        f"INSERT INTO records ({columns}) SELECT {columns} FROM records "
        f"WHERE step_key = {copy.step('leaf-3')}"
    )


@breaks(PRODUCTS, "run-0 has artifacts too many: [], too few: [('leaf-2', 'external.ref.json")
def an_artifact_that_is_missing(copy: Copy) -> None:
    copy.sql(f"DELETE FROM artifacts WHERE step_key = {copy.step('leaf-2')}")


@breaks(PRODUCTS, "run-2, which is canceled, has records too many: [('leaf-1', '12')]")
def a_record_of_a_canceled_run_that_is_wrong(copy: Copy) -> None:
    copy.sql(
        "INSERT INTO records (run_key, step_key, collection, key, data) SELECT run_key, step_key, 'leaves', "
        f"'leaf-1', '12' FROM steps WHERE step_key = {copy.step('leaf-1', 'run-2')}"
    )


@breaks("a step succeeded once", "run-0/leaf-2 is succeeded with 2 succeeded attempts")
def two_successes(copy: Copy) -> None:
    copy.sql(f"UPDATE attempts SET outcome = 'succeeded' WHERE step_key = {copy.step('leaf-2')}")


@breaks("a step succeeded once", "run-0/leaf-0 is succeeded with 0 succeeded attempts")
def a_success_without_an_attempt(copy: Copy) -> None:
    copy.sql(f"UPDATE attempts SET outcome = 'retried' WHERE step_key = {copy.step()}")


NUMBERED = "attempts are numbered without gaps"


@breaks(NUMBERED, "run-0/leaf-2 counts 2 attempts, and has [2]")
def a_gap(copy: Copy) -> None:
    copy.sql(f"DELETE FROM attempts WHERE number = 1 AND step_key = {copy.step('leaf-2')}")


@breaks(NUMBERED, "run-0/leaf-2 counts 3 attempts, and has [1, 2]")
def an_attempt_that_is_missing(copy: Copy) -> None:
    copy.sql(f"UPDATE steps SET attempt = 3 WHERE step_key = {copy.step('leaf-2')}")


@breaks(NUMBERED, "attempt 1 of run-0/leaf-0 has not ended")
def an_attempt_that_goes_on(copy: Copy) -> None:
    copy.sql(f"UPDATE attempts SET finished_at = NULL WHERE step_key = {copy.step()}")
