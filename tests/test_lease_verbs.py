"""Leases: renewed, lost, spared, and worth nothing once their token is gone."""

import attrs
import pytest
from store_kit import LEASE, PERMANENT, SECOND, Bench, jump, names, open_bench, run, step

from trio_workflow.model.changes import Claim, Renewal
from trio_workflow.model.outcome import Released
from trio_workflow.model.records import Progress
from trio_workflow.model.status import AttemptOutcome
from trio_workflow.runtime.drift import Drift


async def leased(bench: Bench) -> Claim:
    await bench.create(run("r", "a", step("other", kind="o")))
    return (await bench.claim())["a"]


def renewal(claim: Claim, progress: str | None = None) -> Renewal:
    return Renewal(step_key=claim.step_key, token=claim.token, progress=progress)


async def expiry(bench: Bench) -> int | None:
    [(found,)] = bench.rows("SELECT expires_at FROM steps WHERE id = 'a'")
    assert found is None or isinstance(found, int)
    return found


async def lose(bench: Bench, claim: Claim, how: str) -> None:
    """The lease is lost; whoever holds the step now has another token."""
    match how:
        case "released":
            await bench.end(claim, Released())
        case "ended":
            await bench.end(claim)
        case "failed":
            await bench.end(claim, PERMANENT)
        case "canceled":
            await bench.store.cancel_run("r")
        case "expired":
            jump(LEASE / SECOND)
            await bench.ask(0)
        case "taken over":
            jump(LEASE / SECOND)
            assert list(await bench.claim()) == ["a"]


LOST = ["released", "ended", "failed", "canceled", "expired", "taken over"]


async def test_a_renewed_lease_runs_on_from_now(bench: Bench) -> None:
    claim = await leased(bench)
    jump(20)
    assert await bench.store.renew([renewal(claim)], LEASE) == {claim.token}
    assert await expiry(bench) == bench.now() + LEASE
    jump(20)
    assert await bench.claim() == {}
    assert await bench.store.holds([(claim.step_key, claim.token)]) == {claim.token}


async def test_a_renewal_stores_progress_and_keeps_it_when_none_is_told(bench: Bench) -> None:
    claim = await leased(bench)
    await bench.store.renew([renewal(claim, '{"done":1,"total":2,"message":"half"}')], LEASE)
    await bench.store.renew([renewal(claim)], LEASE)
    found = await bench.store.reads.step("r", "a")
    assert found is not None
    assert found.progress == Progress(done=1, total=2, message="half")


async def test_the_progress_of_an_attempt_is_gone_with_the_next(bench: Bench) -> None:
    claim = await leased(bench)
    await bench.store.renew([renewal(claim, '{"done":1}')], LEASE)
    await bench.end(claim, Released())
    assert (await bench.claim())["a"].step.progress is None


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_lease_is_not_renewed(bench: Bench, how: str) -> None:
    claim = await leased(bench)
    await lose(bench, claim, how)
    before = bench.rows("SELECT * FROM steps")
    jump(1)
    assert await bench.store.renew([renewal(claim, '{"done":1}')], LEASE) == frozenset()
    assert bench.rows("SELECT * FROM steps") == before
    assert await bench.is_sound()


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_lease_saves_nothing(bench: Bench, how: str) -> None:
    claim = await leased(bench)
    await lose(bench, claim, how)
    assert not await bench.store.save(claim.step_key, claim.token, "1")
    assert bench.rows("SELECT * FROM checkpoints") == []


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_lease_does_not_hold(bench: Bench, how: str) -> None:
    claim = await leased(bench)
    await lose(bench, claim, how)
    assert await bench.store.holds([(claim.step_key, claim.token)]) == frozenset()


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_lease_completes_nothing(bench: Bench, how: str) -> None:
    claim = await leased(bench)
    await lose(bench, claim, how)
    before = bench.rows("SELECT * FROM steps")
    assert (await bench.end(claim)).ended == {}
    assert (await bench.end(claim, PERMANENT)).ended == {}
    assert (await bench.end(claim, Released())).ended == {}
    assert bench.rows("SELECT * FROM steps") == before
    assert await bench.is_sound()


async def test_of_several_renewals_those_that_hold_are_answered(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    claims = await bench.claim()
    await bench.end(claims["a"], Released())
    renewed = await bench.store.renew([renewal(claim) for claim in claims.values()], LEASE)
    assert renewed == {claims["b"].token}
    held = await bench.store.holds([(claim.step_key, claim.token) for claim in claims.values()])
    assert held == renewed


async def test_a_checkpoint_is_there_for_the_next_attempt_and_the_last_one_wins(bench: Bench) -> None:
    claim = await leased(bench)
    assert claim.saved is None
    assert await bench.store.save(claim.step_key, claim.token, "1")
    assert await bench.store.save(claim.step_key, claim.token, "2")
    await bench.end(claim, Released())
    assert (await bench.claim())["a"].saved == "2"


async def test_an_expired_lease_is_taken_back_and_may_be_leased_in_the_same_claim(bench: Bench) -> None:
    old = await leased(bench)
    jump(LEASE / SECOND)
    answer = await bench.ask()
    assert (answer.refreshed, names(answer.claims)) == (1, ["a"])
    assert answer.changes.revoked == (old.token,)
    assert answer.claims[0].step.attempt == 2
    result = await bench.store.reads.result("r", "a")
    assert result is not None
    assert [attempt.outcome for attempt in result.attempts] == [AttemptOutcome.LEASE_LOST, None]
    assert await bench.is_sound()


async def test_a_lease_is_not_expired_a_microsecond_too_early(bench: Bench) -> None:
    await leased(bench)
    jump(LEASE / SECOND - 0.000_001)
    assert (await bench.ask()).refreshed == 0
    jump(0.000_001)
    assert (await bench.ask()).refreshed == 1


async def test_of_two_leases_the_one_that_runs_on_is_left_alone(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    await bench.claim(1)
    jump(0.000_001)
    await bench.claim(1)
    jump(LEASE / SECOND - 0.000_001)
    assert (await bench.ask(0)).refreshed == 1
    assert await bench.statuses() == {"a": "ready", "b": "running"}


async def test_a_claim_that_must_not_expire_leases_does_not(bench: Bench) -> None:
    await leased(bench)
    jump(1000)
    answer = await bench.ask(may_expire=lambda now: False)
    assert (answer.refreshed, answer.claims) == (0, ())


async def test_a_spared_lease_is_not_expired_and_the_others_are(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    claims = await bench.claim()
    jump(LEASE / SECOND)
    answer = await bench.ask(spared=frozenset({claims["a"].token}))
    assert names(answer.claims) == ["b"]
    assert answer.changes.due == bench.now() + LEASE // 12  # looked at again soon
    assert await bench.store.holds([(claims["a"].step_key, claims["a"].token)])


async def test_spared_leases_do_not_hide_expired_ones_behind_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.expire.EXPIRED_AT_ONCE", 2)
    await bench.create(run("r", *"abcdef"))
    mine = await bench.claim(3)
    jump(1)
    await bench.claim(3)
    jump(LEASE / SECOND)
    spared = frozenset(claim.token for claim in mine.values())
    assert [(await bench.ask(0, spared=spared)).refreshed for _ in range(3)] == [2, 1, 0]


async def test_another_process_does_not_spare_it(bench: Bench) -> None:
    claim = await leased(bench)
    jump(LEASE / SECOND)
    async with open_bench(bench.path) as second:
        jump(LEASE / SECOND)  # its clock begins at the latest time in the store
        assert list(await second.claim()) == ["a"]
    assert await bench.store.holds([(claim.step_key, claim.token)]) == frozenset()


async def test_a_step_that_lost_too_many_leases_fails_and_takes_its_dependents_along(bench: Bench) -> None:
    await bench.create(run("r", "a", step("b", "a"), step("c", "a?")))
    for _ in range(2):
        assert list(await bench.claim(max_lost=3)) == ["a"]
        jump(LEASE / SECOND)
    await bench.ask(0)
    assert list(await bench.claim()) == ["a"]
    jump(LEASE / SECOND)
    answer = await bench.ask(0, max_lost=3)
    assert answer.refreshed == 1
    assert await bench.statuses() == {"a": "failed", "b": "canceled", "c": "ready"}
    found = await bench.store.reads.step("r", "a")
    assert found is not None
    assert found.error is not None
    assert (found.error.code, found.error.retryable) == ("lease_lost", False)
    assert "3 times" in found.error.message
    assert await bench.is_sound()


async def test_a_step_that_was_allowed_to_fail_is_excused_when_it_is_abandoned(bench: Bench) -> None:
    await bench.create(run("r", step("a", allow_failure=True)))
    await bench.claim()
    jump(LEASE / SECOND)
    await bench.ask(0, max_lost=1)
    assert await bench.run_status() == "succeeded"
    assert await bench.is_sound()


async def test_lost_leases_do_not_use_up_attempts(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    for _ in range(5):
        await bench.claim()
        jump(LEASE / SECOND)
        await bench.ask(0, max_lost=99)
    assert bench.rows("SELECT attempt, charged, lost, status FROM steps") == [(5, 0, 5, "ready")]


async def test_whether_leases_may_be_taken_back_is_asked_with_the_time_of_the_transaction(
    bench: Bench,
) -> None:
    """The clock may be set while a claim waits for the write lock: what was asked before would not do."""
    await leased(bench)
    jump(1000)
    asked: list[int] = []
    answer = await bench.ask(may_expire=asked.append)  # answers None: no
    assert asked == [bench.now()]
    assert not answer.looked_for_expired


@attrs.define
class TwoClocks:
    wall: float = 0.0
    steady: float = 0.0

    def now(self) -> int:
        return round(self.wall * SECOND)

    def monotonic(self) -> float:
        return self.steady

    def not_before(self, at: int) -> None: ...

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("by", [-4.0, 4.0])
def test_for_one_lease_after_a_jump_of_more_than_a_third_of_it_nothing_is_taken_back(by: float) -> None:
    clock = TwoClocks()
    drift = Drift(clock, lease=9.0)
    clock.go(100)
    clock.wall += 3.0
    assert drift.may_expire(clock.now())
    clock.wall += by
    assert not drift.may_expire(clock.now())
    clock.go(8.9)
    assert not drift.may_expire(clock.now())
    clock.go(0.1)
    assert drift.may_expire(clock.now())
