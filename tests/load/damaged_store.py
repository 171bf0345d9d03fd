"""Ways to damage a sound run: what is stored against what was acknowledged, observed and given."""

from contextlib import closing
from sqlite3 import connect

from .audit_kit import Copy, breaks
from .settings import projections
from .workload import Order, projection_of

THERE = "what was acknowledged is there"


@breaks(THERE, "run-0 was acknowledged as started, and is not in the database")
def a_run_whose_commits_are_lost(copy: Copy) -> None:
    copy.remove("run-0")


@breaks(THERE, "run-2 was acknowledged as started, and is not in the database")
def a_parked_run_that_is_lost_however_often_others_prune(copy: Copy) -> None:
    copy.note("pruning", older_than=0.0, call="prune")
    copy.note("pruned", older_than=0.0, call="prune", count=3)
    copy.remove("run-2")


@breaks(THERE, "run-0 was acknowledged as started, and is not in the database")
def a_run_that_is_lost_and_whose_deletion_was_refused(copy: Copy) -> None:
    copy.note("deleting", run="run-0", call="refused")
    copy.note("refused", run="run-0", call="refused")
    copy.remove("run-0")


@breaks("what was not found was removed", "run-0 was not found by process")
def a_run_that_a_client_did_not_find(copy: Copy) -> None:
    copy.note("missing", run="run-0", wall=1)


@breaks("what was not found was removed", "run-0 was not found by process")
def a_run_that_was_not_found_before_it_was_deleted(copy: Copy) -> None:
    copy.note("missing", run="run-0", wall=1)
    copy.note("deleting", run="run-0", call="later", wall=2)


@breaks("what was deleted is gone", "run-1 was acknowledged as deleted, and is in the database")
def a_deletion_that_is_lost(copy: Copy) -> None:
    copy.note("deleting", run="run-1", call="delete")
    copy.note("deleted", run="run-1", call="delete")


@breaks("inputs are as they were given", "run-0 was started with Order(number=0, ")
def another_input(copy: Copy) -> None:
    copy.sql("UPDATE run_inputs SET input = json_set(input, '$.number', 7) WHERE run_key = 1")


@breaks("ends agree", "run-0 is succeeded at ")
def a_wait_that_returned_another_end(copy: Copy) -> None:
    copy.note("ended", run="run-0", status="failed", finished=1, asked=2**62)


@breaks("ends agree", "run-1 is succeeded at ")
def an_end_that_is_stored_anew(copy: Copy) -> None:
    copy.sql("UPDATE runs SET finished_at = finished_at + 1 WHERE id = 'run-1'")


@breaks("cancels are stored", "run-0 is succeeded, and cancel_run had returned before it ended")
def a_cancel_that_is_lost(copy: Copy) -> None:
    copy.note("canceling", run="run-0", call="cancel", wall=0)
    copy.note("canceled", run="run-0", call="cancel", wall=0)


@breaks("retries are stored", "run-1 was retried at ")
def a_retry_that_is_lost(copy: Copy) -> None:
    copy.note("retrying", run="run-1", call="retry", wall=2**60)
    copy.note("retried", run="run-1", call="retry", wall=2**60)


@breaks("retries are stored", "run-1 was retried at 2000, and ended at 1000")
def a_retry_after_which_the_end_before_it_was_seen(copy: Copy) -> None:
    copy.note("retrying", run="run-1", call="retry", wall=2000)
    copy.note("retried", run="run-1", call="retry", wall=2000)
    copy.note("ended", run="run-1", status="failed", finished=1000, asked=2**62)


REASON = "ends have a reason"


@breaks(REASON, "run-0, of shape sum, has failed")
def a_run_that_failed(copy: Copy) -> None:
    copy.sql("UPDATE runs SET status = 'failed' WHERE id = 'run-0'")


@breaks(REASON, "run-2, of shape parked, has succeeded")
def a_parked_run_that_succeeded(copy: Copy) -> None:
    copy.sql("UPDATE runs SET status = 'succeeded' WHERE id = 'run-2'")


@breaks(REASON, "run-0 is canceled, and nobody asked for that")
def a_cancel_that_nobody_asked_for(copy: Copy) -> None:
    copy.sql("UPDATE runs SET status = 'canceled' WHERE id = 'run-0'")


PRODUCTS = "products are right"


@breaks(PRODUCTS, "run-0 has results too many: [('join', '12')]")
def a_wrong_sum(copy: Copy) -> None:
    copy.sql(f"UPDATE results SET data = '12' WHERE step_key = {copy.step('join')}")


@breaks(PRODUCTS, "too few: [('proof', 'succeeded')]")
def an_emitted_step_that_is_missing(copy: Copy) -> None:
    copy.sql(f"DELETE FROM steps WHERE step_key = {copy.step('proof')}")


@breaks(PRODUCTS, "run-0 has records too many: [], too few: [('leaf-3'")
def a_record_that_is_missing(copy: Copy) -> None:
    copy.sql(f"DELETE FROM records WHERE step_key = {copy.step('leaf-3')}")


@breaks(PRODUCTS, "run-0 has artifacts too many: [], too few: [('leaf-2', 'external.ref.json")
def an_artifact_that_is_missing(copy: Copy) -> None:
    copy.sql(f"DELETE FROM artifacts WHERE step_key = {copy.step('leaf-2')}")


@breaks(PRODUCTS, "run-1, which is running, has results")
def a_wrong_result_of_a_run_that_goes_on(copy: Copy) -> None:
    copy.sql("UPDATE runs SET status = 'running' WHERE id = 'run-1'")
    copy.sql(f"UPDATE results SET data = '12' WHERE step_key = {copy.step('leaf-1', 'run-1')}")


@breaks("projections have their rows", "run-0 has succeeded, and its projection has None instead of ")
def a_row_of_a_projection_that_is_missing(copy: Copy) -> None:
    path = projections(copy.site) / f"{projection_of(Order(0))}.db"
    with closing(connect(path, isolation_level=None)) as conn:
        conn.execute("DELETE FROM tallies WHERE key = 'run-0/tally'")


@breaks("a step succeeded once", "run-0/leaf-0 is succeeded with 0 succeeded attempts")
def a_success_without_an_attempt(copy: Copy) -> None:
    copy.sql(f"UPDATE attempts SET outcome = 'failed' WHERE step_key = {copy.step('leaf-0')}")


@breaks("attempts follow each other", "attempt 1 of run-0/leaf-0 was claimed after its run was succeeded")
def an_attempt_after_the_end(copy: Copy) -> None:
    copy.sql(f"UPDATE attempts SET started_at = {2**60} WHERE step_key = {copy.step('leaf-0')}")


@breaks("artifacts have their bytes", "run-0/leaf-1/inline: ")
def an_artifact_with_other_bytes(copy: Copy) -> None:
    copy.sql(f"UPDATE artifacts SET body = x'00' WHERE step_key = {copy.step('leaf-1')}")


@breaks("nobody complained", "integrity_check: ")
def an_index_that_lacks_a_row(copy: Copy) -> None:
    copy.sql(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX runs_of_package ON runs (package, name)' "
        "WHERE name = 'runs_of_package'",
    )


@breaks("nobody complained", "the database cannot be read: ")
def a_database_that_is_damaged(copy: Copy) -> None:
    content = copy.site.database.read_bytes()
    copy.site.database.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
