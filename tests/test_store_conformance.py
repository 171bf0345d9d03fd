"""Every pair of status and event, legal or refused, as the table has it: MOVES is read here, not repeated.

The run: `s` requires `gate`, and waits for `side` to end. `other` stays ready, so that the run goes on.
"""

from collections.abc import Awaitable, Callable
from itertools import product

import attrs
import pytest
from store_kit import LEASE, PERMANENT, RETRYABLE, SECOND, Bench, jump, run, step

from trio_workflow.errors import StepStateError
from trio_workflow.model.changes import Claim
from trio_workflow.model.outcome import Completion, LeaseLost, Outcome, Released, Success
from trio_workflow.model.status import StepStatus
from trio_workflow.rules.transitions import MOVES, StepEvent

E, S = StepEvent, StepStatus
NEVER_CLAIMED = ""


@attrs.define
class Scene:
    """The step `s` in some status, and the leases that were taken on the way."""

    bench: Bench
    gate: Claim
    lease: Claim | None = None

    def row(self) -> tuple[object, ...]:
        [row] = self.bench.rows("SELECT * FROM steps WHERE id = 's'")
        return row

    async def status(self) -> StepStatus:
        found = await self.bench.store.reads.step("r", "s")
        assert found is not None
        return found.status

    async def end_s(self, outcome: Outcome) -> None:
        """Under the token it was last leased with, stale or not; under an invented one if it never was."""
        [(key,)] = self.bench.rows("SELECT step_key FROM steps WHERE id = 's'")
        token = NEVER_CLAIMED if self.lease is None else self.lease.token
        await self.bench.store.exchange([Completion(key, token, outcome)], None)


async def bring(bench: Bench, status: StepStatus) -> Scene:
    await bench.create(run("r", "gate", "side", step("s", "gate side?", kind="s"), step("other", kind="o")))
    claims = await bench.claim()
    scene = Scene(bench, claims["gate"])
    await bench.end(claims["side"])
    if status is S.PENDING:
        return scene
    await bench.end(scene.gate, PERMANENT if status is S.CANCELED else Success())
    if status in (S.READY, S.CANCELED):
        return scene
    scene.lease = (await bench.claim(kinds=["s"]))["s"]
    if status is S.SUCCEEDED:
        await scene.end_s(Success())
    if status is S.FAILED:
        await scene.end_s(PERMANENT)
    return scene


async def unblock(scene: Scene) -> None:
    await scene.bench.end(scene.gate)


async def block(scene: Scene) -> None:
    await scene.bench.end(scene.gate, PERMANENT)


async def claim(scene: Scene) -> None:
    await scene.bench.ask(kinds=["s"])


def ending(outcome: Outcome) -> Callable[[Scene], Awaitable[None]]:
    async def end(scene: Scene) -> None:
        await scene.end_s(outcome)

    return end


def expiring(max_lost: int) -> Callable[[Scene], Awaitable[None]]:
    async def expire(scene: Scene) -> None:
        jump(LEASE / SECOND)
        await scene.bench.ask(0, max_lost=max_lost, spared=frozenset({scene.gate.token}))

    return expire


async def cancel(scene: Scene) -> None:
    await scene.bench.store.cancel_run("r")


def retrying(step_id: str) -> Callable[[Scene], Awaitable[None]]:
    async def retry(scene: Scene) -> None:
        await scene.bench.store.retry_step("r", step_id)

    return retry


VERBS: list[tuple[StepEvent, Callable[[Scene], Awaitable[None]]]] = [
    (E.UNBLOCK, unblock),
    (E.BLOCK, block),
    (E.CLAIM, claim),
    (E.SUCCEED, ending(Success())),
    (E.FAIL, ending(PERMANENT)),
    (E.RETRY, ending(RETRYABLE)),
    (E.RELEASE, ending(Released())),
    (E.EXPIRE, expiring(max_lost=2)),
    (E.EXPIRE, ending(LeaseLost(2))),
    (E.ABANDON, expiring(max_lost=1)),
    (E.ABANDON, ending(LeaseLost(1))),
    (E.CANCEL, cancel),
    (E.REOPEN, retrying("s")),
    (E.REVIVE, retrying("gate")),
]


def test_every_event_has_a_verb() -> None:
    assert {event for event, _ in VERBS} == set(StepEvent)


@pytest.mark.parametrize(
    ("status", "event", "verb"),
    [
        pytest.param(status, event, verb, id=f"{status}-{event}-{number}")
        for status, (number, (event, verb)) in product(StepStatus, enumerate(VERBS))
    ],
)
async def test_a_verb_moves_a_step_as_the_table_says_or_not_at_all(
    bench: Bench, status: StepStatus, event: StepEvent, verb: Callable[[Scene], Awaitable[None]]
) -> None:
    scene = await bring(bench, status)
    assert await scene.status() is status
    assert await bench.is_sound()
    before = scene.row()
    is_told = False
    try:
        await verb(scene)
    except StepStateError:
        is_told = True
    if (status, event) in MOVES:
        assert await scene.status() is MOVES[status, event]
        assert not is_told
    else:
        assert scene.row() == before
        assert is_told or event not in (E.REOPEN, E.REVIVE)
    assert await bench.is_sound()
