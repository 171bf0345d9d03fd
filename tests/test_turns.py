"""Which step starts first among runs with much and runs with little, and when a queue is short of tokens."""

from store_kit import Bench, run, step

from trio_workflow.model.policy import QueueConfig, RateLimit


async def test_steps_that_wait_for_their_date_do_not_put_back_the_others_of_their_run(bench: Bench) -> None:
    await bench.create(run("late", *(step(f"d{n}", delay=86_400.0) for n in range(200)), "now"))
    await bench.create(run("big", *(f"b{n}" for n in range(100))))
    assert "now" in [*await bench.finish(1), *await bench.finish(1)]


async def test_steps_in_another_queue_do_not_put_back_the_others_of_their_run(bench: Bench) -> None:
    await bench.create(run("two", *(step(f"x{n}", queue="x") for n in range(200)), step("y", queue="y")))
    await bench.create(run("big", *(step(f"b{n}", queue="y") for n in range(100))))
    y = frozenset({"y"})
    assert "y" in [*await bench.finish(1, queues=y), *await bench.finish(1, queues=y)]


async def test_a_queue_is_short_of_tokens_only_while_a_step_waits_for_one(bench: Bench) -> None:
    await bench.store.configure_queues({"q": QueueConfig(9, RateLimit(1.0, burst=2))})
    await bench.create(run("r", *(step(name, queue="q") for name in "ab")))
    answer = await bench.ask()
    assert (len(answer.claims), answer.limited) == (2, ())
    await bench.create(run("s", step("c", queue="q")))
    answer = await bench.ask()
    assert (len(answer.claims), answer.limited) == (0, ("q",))


async def test_a_full_queue_is_not_short_of_tokens(bench: Bench) -> None:
    await bench.store.configure_queues({"q": QueueConfig(1, RateLimit(1.0, burst=5))})
    await bench.create(run("r", *(step(name, queue="q") for name in "ab")))
    answer = await bench.ask()
    assert (len(answer.claims), answer.limited) == (1, ())
