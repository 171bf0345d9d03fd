"""What users of `simulate` may do in their packages, and what they are told when it goes wrong."""

import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import trio

from trio_workflow import Package, Retryable, RunBuilder, Runtime, StartRun, StepContext
from trio_workflow.testing import SimulationError, simulate


def package_of(executor: Callable[..., Any] | None = None, **options: Any) -> Package:
    """One step per run, of kind "k"."""
    package = Package("p")

    @package.entrypoint
    def start(run: RunBuilder) -> None:
        run.step("a", kind="k", **options)

    if executor is not None:
        package.executor("k")(executor)
    return package


async def does_nothing(step: StepContext) -> None: ...


def broken_by(*args: Any, **options: Any) -> str:
    with pytest.raises(SimulationError) as caught:
        simulate(*args, **options)
    return str(caught.value)


# --- stores ----------------------------------------------------------------------------------------------


async def stores(step: StepContext) -> None:
    await step.store_artifact("a.txt", "text/plain", b"abc")
    rows = await step.projection("rows")
    await rows.execute("CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY)")
    await rows.execute("INSERT OR IGNORE INTO rows VALUES (?)", step.run_id)


def test_there_are_an_artifact_and_a_projection_store() -> None:
    async def all_is_there(rt: Runtime) -> None:
        rows = await rt.projection("rows")
        for run in await rt.runs(status="succeeded"):
            assert await rows.query("SELECT 1 FROM rows WHERE id = ?", run.id)
            async with rt.open_artifact(run.id, "a", "a.txt.ref.json") as reader:
                assert await reader.read() == b"abc"

    campaign = simulate(package_of(stores), seeds=range(1, 60), check=all_is_there)
    assert "failure" not in campaign.counts
    assert campaign.counts["fault"]["crash_bytes"] > 0


def test_a_check_says_what_is_wrong_by_what_it_raises() -> None:
    told = broken_by(package_of(does_nothing), seeds=[1], check=lambda rt: False)
    assert "check says what is wrong by what it raises, not by answering False" in told
    assert simulate(package_of(does_nothing), seeds=[1], check=lambda rt: rt.statistics()).seeds == 1


def test_reset_is_no_coroutine() -> None:
    async def reset() -> None: ...

    told = broken_by(package_of(does_nothing), seeds=[1], reset=reset)
    assert "reset must be a plain function (def), not an async one" in told


def test_records_of_any_collection_are_read() -> None:
    async def records(step: StepContext) -> None:
        step.record("pages", step.id, {"words": 3})
        step.record("words", "a", 3)

    assert simulate(package_of(records), seeds=range(1, 30)).steps > 0


def test_a_campaign_in_which_nothing_ever_succeeded_does_not_pass() -> None:
    async def fails(step: StepContext) -> None:
        raise ValueError("always")

    told = broken_by(package_of(fails), seeds=range(1, 4))
    assert "no attempt of any step succeeded in 3 seeds" in told
    assert "k executor_error: ValueError: always" in told


def test_what_no_attempt_of_a_kind_came_to_is_told_and_only_what_could_be() -> None:
    def start(run: RunBuilder) -> None:
        run.step("a", kind="k")
        run.step("b", kind="other")

    async def fails(step: StepContext) -> None:
        raise ValueError

    package = Package("p", entrypoint=start)
    package.executor("k")(does_nothing)
    package.executor("other")(fails)

    campaign = simulate(package, seeds=range(1, 4), faults=["crash_bytes"])
    assert campaign.unreached == ["executor other success"]
    assert "point" not in str(campaign)


# --- memory ----------------------------------------------------------------------------------------------


def test_no_seed_finds_what_another_left() -> None:
    seen: dict[str, set[float]] = {}

    async def looks(step: StepContext) -> None:
        seen.setdefault(step.run_id, set()).add(step.attempt)

    simulate(package_of(looks), seeds=range(1, 6), runs=2, faults=[])
    assert set(seen) == {f"seed-{seed}-run-{run}" for seed in range(1, 6) for run in range(2)}


def test_reset_is_called_before_every_world_that_is_played() -> None:
    kept: set[str] = set()

    async def keeps(step: StepContext) -> None:
        assert step.run_id not in kept
        kept.add(step.run_id)

    async def nothing_failed(rt: Runtime) -> None:
        assert not await rt.runs(status="failed")

    async def refuses(rt: Runtime) -> None:
        await nothing_failed(rt)
        raise ValueError("as planned")

    package = package_of(keeps)
    simulate(package, seeds=[0], reset=kept.clear, check=nothing_failed, faults=[])  # played twice
    told = broken_by(package, seeds=[7], reset=kept.clear, check=refuses, faults=[], runs=3)
    assert "as planned" in told
    assert "runs=1)" in told  # played again and again


# --- stubs -----------------------------------------------------------------------------------------------


def test_stubs_stand_in_for_what_a_function_registers() -> None:
    async def never(step: StepContext) -> None:
        raise SystemExit

    package = package_of(never)

    def register(rt: Runtime) -> None:
        rt.register_package(package)

    campaign = simulate(register, range(1, 10), start=lambda roll: StartRun("p"), executors="stubs")
    assert campaign.counts["executor"]["k success"] > 0


def test_stubs_execute_kinds_that_nobody_registered() -> None:
    assert simulate(package_of(), range(1, 10), executors="stubs").counts["executor"]["k success"] > 0


# --- time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_step_may_be_due_days_later(seed: int) -> None:
    assert simulate(package_of(does_nothing, delay=3 * 86_400), [seed], runs=1).steps == 1


def test_an_executor_may_sleep_for_hours_and_be_tried_again_after_some() -> None:
    async def sleeps(step: StepContext) -> None:
        await trio.sleep(7200)
        if step.attempt == 1:
            raise Retryable("busy", delay=3600)

    campaign = simulate(package_of(sleeps), [1, 2], faults=["slow"])
    assert campaign.counts["executor"]["k success"] == campaign.steps > 0


def test_what_can_never_end_is_told_with_its_reason() -> None:
    told = broken_by(package_of(), seeds=[1])
    assert "nothing can happen any more: seed-1-run-0/a is ready, ready_at" in told
    assert 'no executor for "k"' in told


def test_an_executor_that_never_returns_is_told_after_the_patience_given() -> None:
    async def waits(step: StepContext) -> None:
        await trio.sleep_forever()

    told = broken_by(package_of(waits), seeds=[1], runs=1, patience=9000, faults=[])
    assert "nothing changed for 9000 s (patience=9000" in told
    assert "seed-1-run-0/a is running, its executor runs since" in told


def test_one_that_no_cancellation_ends_is_told_too() -> None:
    async def shields(step: StepContext) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    told = broken_by(package_of(shields), seeds=[1], runs=1, patience=500)
    assert "executors do not return (although they were cancelled: seed-1-run-0/a on p0.1" in told


def test_a_seed_that_takes_too_long_is_ended_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    async def swallows(step: StepContext) -> None:
        while True:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                await trio.lowlevel.cancel_shielded_checkpoint()

    told = broken_by(package_of(swallows), seeds=[1], seconds=0.5)
    assert told.startswith("seed 1 broke something:\n  it takes too long (after 0.5 s of real time")
    assert "seed 1 broke something" in capsys.readouterr().err


def test_so_is_one_that_holds_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_workflow.testing.simulation.overtime.HELD_UP", 0.1)

    async def blocks(step: StepContext) -> None:
        while True:
            time.monotonic()

    told = broken_by(package_of(blocks), seeds=[1], seconds=0.3)
    assert "it takes too long" in told
    assert "in blocks\n" in told


def test_so_is_one_whose_thread_never_returns() -> None:
    may_return = threading.Event()

    def waits(step: StepContext) -> None:
        may_return.wait()

    told = broken_by(package_of(waits), seeds=[1], seconds=0.5)
    may_return.set()
    assert told.startswith("seed 1 broke something:\n  it takes too long (after 0.5 s of real time")


def test_a_check_that_never_returns_is_told() -> None:
    async def waits(rt: Runtime) -> None:
        await trio.sleep_forever()

    told = broken_by(package_of(does_nothing), seeds=[1], check=waits)
    assert "your check (it has not returned after 604800 s of virtual time" in told


# --- what user code raises -------------------------------------------------------------------------------


async def finds_fault(rt: Runtime) -> None:
    raise LookupError("something is missing")


def test_what_a_check_raises_is_told_once_with_its_place_and_is_the_cause() -> None:
    with pytest.raises(SimulationError) as caught:
        simulate(package_of(does_nothing), seeds=[1], check=finds_fault)
    told = str(caught.value)
    assert isinstance(caught.value.__cause__, LookupError)
    head = told.partition("its world:")[0]
    assert head.count("your check") == 1
    assert re.search(r'test_simulation_users.py", line \d+, in finds_fault\n', head)
    assert "trio_workflow/testing" not in head


def test_so_are_a_set_up_a_start_and_an_entrypoint_that_raise() -> None:
    def raises(*args: object) -> Any:
        raise LookupError("nothing here")

    package = Package("q", entrypoint=lambda run: raises())
    for told in (
        broken_by(raises, seeds=[1], start=lambda roll: StartRun("p"), processes=3),
        broken_by(package_of(does_nothing), seeds=[1], start=raises, processes=3),
        broken_by(package, seeds=[1], processes=3),
    ):
        head = told.partition("its world:")[0]
        assert head.count("(LookupError: nothing here)") == 1
        assert "in raises" in head


def test_a_check_may_fail_as_tests_do() -> None:
    async def fails(rt: Runtime) -> None:
        pytest.fail("not so")

    assert "your check (Failed: not so)" in broken_by(package_of(does_nothing), seeds=[1], check=fails)


def test_an_interrupt_comes_out_of_a_check() -> None:
    async def interrupts(rt: Runtime) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(package_of(does_nothing), seeds=[1], check=interrupts)


def test_a_check_may_be_a_plain_function() -> None:
    seen: list[Runtime] = []
    simulate(package_of(does_nothing), seeds=[1], check=seen.append)
    assert len(seen) == 1


def test_what_another_process_found_is_told_as_well() -> None:
    told = broken_by(package_of(does_nothing), seeds=[1, 2], check=finds_fault, jobs=2)
    assert "your check (LookupError: something is missing)" in told


def test_shrinking_keeps_to_the_mistake_it_began_with() -> None:
    async def counts(rt: Runtime) -> None:
        runs = len(await rt.runs())
        raise LookupError("several" if runs > 1 else "one")

    told = broken_by(package_of(does_nothing), seeds=[1], check=counts, runs=4, faults=[])
    assert "(LookupError: several)" in told
    assert "runs=2)" in told


# --- twice -----------------------------------------------------------------------------------------------


def test_the_global_random_numbers_are_the_seeds() -> None:
    async def draws(step: StepContext) -> None:
        await trio.sleep(random.random())

    random.seed(5)
    before = random.getstate()
    simulate(package_of(draws), seeds=[0, 100])
    assert random.getstate() == before


def test_a_seed_that_goes_two_ways_is_told_with_the_first_line_that_differs() -> None:
    times = iter(range(1, 1000))

    async def differs(step: StepContext) -> None:
        await trio.sleep(next(times))

    told = broken_by(package_of(differs), seeds=[0], faults=[])
    assert re.search(r"left two traces \(first: .* ended a as Success .*\n    then: ", told)
    assert "is there randomness, real time" in told
    assert "(reset=)" in told


# --- the report ------------------------------------------------------------------------------------------


def test_the_report_is_short_and_says_nothing_of_the_engines_own_worlds() -> None:
    async def sleeps(step: StepContext) -> None:
        await trio.sleep(600)

    told = broken_by(package_of(sleeps), seeds=[1], check=finds_fault, lease=3.0, faults=["slow"], runs=1)
    assert max(map(len, told.splitlines())) < 170
    for name in ("steps", "features", "used", "max_attempts"):
        assert f"\n  {name}: " not in told
    events = told.partition("its last events:")[2]
    assert sum(" renew(" in line for line in events.splitlines()) < 10
