"""Whatever verbs come in whatever order, every invariant holds after each, and a run that is served ends."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import LEASE, PERMANENT, RETRYABLE, SECOND, Bench, jump, open_bench, run, step
from trio.testing import MockClock

from trio_workflow.errors import RunNotFoundError, RunStateError, StepStateError
from trio_workflow.model.changes import Claim
from trio_workflow.model.outcome import LeaseLost, Outcome, Released, Success
from trio_workflow.model.plan import RunSpec, StepSpec

Roll = tuple[int, int]
ENDS: Sequence[Outcome] = (Success(), Success(), PERMANENT, RETRYABLE, Released(), LeaseLost(2))


@st.composite
def graphs(draw: st.DrawFn) -> RunSpec:
    steps: list[StepSpec] = []
    for number in range(draw(st.integers(1, 9))):
        needs = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else []
        edges = " ".join(f"s{need}{draw(st.sampled_from(['', '', '?']))}" for need in needs)
        excused, delay = draw(st.booleans()), draw(st.sampled_from([0.0, 0.0, 1.0]))
        steps.append(step(f"s{number}", edges, allow_failure=excused, delay=delay))
    return run("r", *steps)


@attrs.define
class Walk:
    """Verbs at random. held: leases that were taken, the stale ones too."""

    bench: Bench
    held: list[Claim] = attrs.field(factory=list[Claim])
    emitted: int = 0

    async def go(self, verb: int, choice: int) -> None:
        match verb:
            case 0 | 1:
                self.held += (await self.bench.claim(1 + choice % 3, max_lost=2)).values()
            case 2 | 3 | 4 if self.held:
                await self.end(choice)
            case 5:
                await self.retry(choice)
            case 6:
                jump((0.5, 1, LEASE / SECOND)[choice % 3])
            case 7 if choice == 7:
                await self.bench.store.cancel_run("r")
            case _:
                await self.bench.ask(0, max_lost=2)

    async def end(self, choice: int) -> None:
        """One or two attempts, maybe stale ones, in one batch; a success may emit."""
        outcome = ENDS[choice % len(ENDS)]
        if isinstance(outcome, Success) and choice % 2:
            self.emitted += 1
            needs = " ".join(f"s{need % 4}{'?' * (need % 2)}" for need in range(choice % 4))
            outcome = Success(emitted=(step(f"e{self.emitted}", needs),))
        first = self.held.pop(choice % len(self.held))
        await self.bench.end_all((first, outcome), *((claim, Success()) for claim in self.held[: choice % 2]))

    async def retry(self, choice: int) -> None:
        statuses = await self.bench.statuses()
        failed = [step_id for step_id, status in statuses.items() if status == "failed"]
        try:
            if choice % 3 == 0:
                await self.bench.store.retry_run("r")
            elif failed:
                await self.bench.store.retry_step("r", failed[choice % len(failed)])
        except (RunStateError, StepStateError, RunNotFoundError):
            assert await self.bench.run_status() == "canceled"

    async def serve(self) -> None:
        """A worker for which everything succeeds, until nothing is left; some time for what is delayed."""
        for _ in range(60):
            await self.bench.finish(max_lost=99)
            jump(LEASE / SECOND)
        assert (await self.bench.run_status()) in ("succeeded", "failed", "canceled")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 11)), min_size=5, max_size=30))
def test_every_invariant_holds_after_every_verb(graph: RunSpec, rolls: list[Roll]) -> None:
    async def walk(folder: Path) -> None:
        async with open_bench(folder / "engine.db") as bench:
            await bench.create(graph)
            walk = Walk(bench)
            for verb, choice in rolls:
                await walk.go(verb, choice)
                assert await bench.is_sound()
            await walk.serve()
            assert await bench.is_sound()

    with TemporaryDirectory() as folder:
        trio.run(walk, Path(folder), clock=MockClock())
