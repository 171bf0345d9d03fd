"""exchange, its second half: ready steps are leased, as many as every limit allows, in the order of turns."""

from collections import Counter

import pytest
from store_kit import LEASE, PERMANENT, SECOND, WIDE, Bench, jump, names, open_bench, request, run, step

from trio_workflow.model.changes import Renewal
from trio_workflow.model.outcome import Completion, Success
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.status import RunStatus


async def test_a_claim_leases_a_step_and_starts_its_run(bench: Bench) -> None:
    await bench.create(run("r", step("a", input="1")))
    jump(2)
    answer = await bench.ask(worker_id="me")
    [claim] = answer.claims
    assert (claim.step.id, claim.step.attempt, claim.step.input, claim.run.id) == ("a", 1, "1", "r")
    assert claim.step.lease is not None
    assert (claim.step.lease.worker_id, claim.step.lease.token) == ("me", claim.token)
    assert claim.expires_at == claim.started_at + LEASE
    assert [move.queue_wait for move in answer.changes.steps] == [2.0]
    assert claim.step == await bench.store.reads.step("r", "a")
    assert [(move.run_id, move.status) for move in answer.changes.runs] == [("r", RunStatus.RUNNING)]
    assert await bench.is_sound()


async def test_a_claim_tells_the_step_that_is_stored_whatever_it_went_through(bench: Bench) -> None:
    await bench.create(run("r", "a", step("b", "a")))
    first = (await bench.claim())["a"]
    told = '{"done":1,"total":2,"message":"half"}'
    await bench.store.renew([Renewal(step_key=first.step_key, token=first.token, progress=told)], LEASE)
    await bench.end(first, PERMANENT)
    await bench.store.retry_run("r")
    for name in ("a", "b"):
        jump(3)
        claim = (await bench.claim(worker_id="other"))[name]
        assert claim.step == await bench.store.reads.step("r", name)
        await bench.end(claim)
    assert await bench.is_sound()


async def test_every_lease_has_a_token_of_its_own(bench: Bench) -> None:
    await bench.create(run("r", *(str(number) for number in range(50))))
    assert len({claim.token for claim in (await bench.claim()).values()}) == 50


async def test_a_step_is_leased_to_one_worker_at_a_time(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    async with open_bench(bench.path) as second:
        assert len(await bench.claim()) + len(await second.claim()) == 1
    assert await bench.is_sound()


async def test_no_more_is_leased_than_was_asked_for(bench: Bench) -> None:
    await bench.create(run("r", *"abcde"))
    assert list(await bench.claim(2)) == ["a", "b"]
    assert list(await bench.claim(0)) == []
    assert list(await bench.claim(9)) == ["c", "d", "e"]


async def test_higher_priority_starts_first_within_a_queue(bench: Bench) -> None:
    steps = (step(f"p{priority}", priority=priority) for priority in (0, -9, 5, 9, -1))
    await bench.create(run("r", *steps))
    order = [name for _ in range(5) for name in await bench.claim(1)]
    assert order == ["p9", "p5", "p0", "p-1", "p-9"]


async def test_priority_goes_over_the_kinds_of_a_queue(bench: Bench) -> None:
    await bench.create(run("r", step("a", kind="x"), step("b", kind="y", priority=1), step("c", kind="x")))
    assert [name for _ in range(3) for name in await bench.claim(1, kinds=["x", "y"])] == ["b", "a", "c"]


async def test_a_run_that_comes_later_takes_its_turn(bench: Bench) -> None:
    await bench.create(run("big", *(f"b{number:03}" for number in range(100))))
    assert list(await bench.claim(10)) == [f"b{number:03}" for number in range(10)]
    await bench.create(run("small", "s"))
    assert list(await bench.claim(2)) == ["b010", "s"]


async def test_two_runs_take_turns(bench: Bench) -> None:
    await bench.create(run("x", *(f"x{number}" for number in range(20))))
    await bench.create(run("y", *(f"y{number}" for number in range(20))))
    for _ in range(10):
        assert Counter(name[0] for name in await bench.claim(4)) == {"x": 2, "y": 2}


async def test_nobody_is_overtaken_for_ever(bench: Bench) -> None:
    await bench.create(run("big", *(f"b{number}" for number in range(10))))
    for number in range(25):  # each time a new run comes in front of the big one's last steps
        await bench.create(run(f"r{number}", "s"))
        await bench.finish(1)
    await bench.finish(100)
    assert await bench.run_status("big") == "succeeded"


async def test_queues_are_asked_in_turns(bench: Bench) -> None:
    for queue in "abc":
        await bench.create(run(queue, *(step(f"{queue}{number}", queue=queue) for number in range(3))))
    order = [name for turn in range(9) for name in await bench.claim(1, after=turn)]
    assert [name[0] for name in order[:6]] == list("abcabc")
    assert len(set(order)) == 9


async def test_free_slots_are_dealt_to_all_queues(bench: Bench) -> None:
    for queue in "abc":
        await bench.create(run(queue, *(step(f"{queue}{number}", queue=queue) for number in range(9))))
    assert Counter(name[0] for name in await bench.claim(9)) == {"a": 3, "b": 3, "c": 3}


async def test_only_known_kinds_are_leased_and_the_others_are_named(bench: Bench) -> None:
    await bench.create(run("r", step("a", kind="x"), step("b", kind="y"), step("c", kind="z")))
    answer = await bench.ask(kinds=["y"])
    assert names(answer.claims) == ["b"]
    assert answer.unclaimed_kinds == ("x", "z")


async def test_only_the_queues_asked_for_are_leased_from(bench: Bench) -> None:
    await bench.create(run("r", step("a", queue="x"), step("b", queue="y"), step("c", queue="z", kind="o")))
    answer = await bench.ask(queues=frozenset({"y"}))
    assert names(answer.claims) == ["b"]
    assert answer.unclaimed_kinds == ()
    assert answer.limits == {"y": 100}


async def test_leases_in_a_queue_never_exceed_its_limit_over_two_stores(bench: Bench) -> None:
    await bench.create(run("r", *(step(str(number), queue="q") for number in range(9))))
    await bench.store.configure_queues({"q": QueueConfig(3)})
    async with open_bench(bench.path) as second:
        first = await bench.claim(2)
        assert len(first) == 2
        assert len(await second.claim(9)) == 1
        assert await bench.claim() == {}
        await bench.end(next(iter(first.values())))
        assert len(await second.claim(9)) == 1
        assert await second.is_sound()


async def test_a_queue_with_limit_nothing_is_paused_until_it_is_configured_again(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.store.configure_queues({"default": QueueConfig(0)})
    assert await bench.claim() == {}
    await bench.store.configure_queues({"default": QueueConfig(1)})
    assert list(await bench.claim()) == ["a"]


async def test_a_worker_leases_no_more_than_its_own_free_slots(bench: Bench) -> None:
    await bench.create(run("r", *"abcde"))
    assert len(await bench.claim(free={"default": 2})) == 2
    assert await bench.claim(free={"default": 0}) == {}


async def test_the_default_limit_holds_for_a_queue_that_nobody_configured(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    answer = await bench.ask(default_queue=QueueConfig(1))
    assert (names(answer.claims), answer.held_back, answer.limits) == (["a"], (), {"default": 1})
    answer = await bench.ask(default_queue=QueueConfig(1))
    assert (names(answer.claims), answer.held_back) == ([], ("default",))


async def test_a_stored_limit_wins_over_the_default_and_holds_nobody_back_unsaid(bench: Bench) -> None:
    await bench.create(run("r", "a", "b", "c"))
    await bench.store.configure_queues({"default": QueueConfig(2)})
    answer = await bench.ask(default_queue=QueueConfig(1))
    assert (len(answer.claims), answer.limits) == (2, {"default": 2})
    assert (await bench.ask(default_queue=WIDE)).held_back == ()
    async with open_bench(bench.path) as later:
        assert await later.store.queue_limits() == {"default": QueueConfig(2)}
        assert await later.claim() == {}


async def test_a_delayed_step_says_when_it_is_due(bench: Bench) -> None:
    await bench.create(run("r", step("a", delay=5.0), step("b", delay=9.0)))
    answer = await bench.ask()
    assert (answer.claims, answer.changes.due) == ((), bench.now() + 5 * SECOND)
    jump(4.999_999)
    assert await bench.claim() == {}
    jump(0.000_001)
    answer = await bench.ask()
    assert names(answer.claims) == ["a"]
    assert answer.changes.due == bench.now() + 4 * SECOND
    assert await bench.is_sound()


async def test_more_delayed_steps_than_fall_due_at_once_follow_in_the_next_claim(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.claim.PROMOTED_AT_ONCE", 3)
    await bench.create(run("r", *(step(str(number), delay=1.0) for number in range(5))))
    jump(1)
    answer = await bench.ask()
    assert len(answer.claims) == 3
    assert answer.changes.due is not None
    assert answer.changes.due <= bench.now()
    assert len((await bench.ask()).claims) == 2


async def test_a_completion_and_the_claim_for_its_slot_share_one_commit(bench: Bench) -> None:
    await bench.create(run("r", "a", step("b", "a")))
    await bench.store.configure_queues({"default": QueueConfig(1)})
    claim = (await bench.claim())["a"]
    commits = bench.store.statistics().commits
    done = [Completion(claim.step_key, claim.token, Success())]
    exchanged = await bench.store.exchange(done, request())
    assert not isinstance(exchanged.answer, Exception)
    assert exchanged.answer is not None
    assert names(exchanged.answer.claims) == ["b"]
    assert bench.store.statistics().commits == commits + 1
