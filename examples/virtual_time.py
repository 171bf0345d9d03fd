"""Test a workflow that waits for hours, in milliseconds: the runtime lives in trio's virtual time.

    python examples/virtual_time.py         run the test as a program, and see both clocks
    pytest examples/virtual_time.py         run it as pytest-trio does, with its autojump_clock

A carrier accepts a parcel only at the fourth attempt. Between the attempts lie one, two and four hours.
"""

import time
from itertools import pairwise

import trio
from trio.testing import MockClock

from trio_workflow import Package, Retryable, RetryPolicy, RunBuilder, StepContext
from trio_workflow.testing import open_test_runtime, run_until_idle

HOUR = 3600.0
HOURLY = RetryPolicy(max_attempts=5, initial_backoff=HOUR, max_backoff=24 * HOUR)
parcels = Package("parcels")


@parcels.entrypoint
def start(run: RunBuilder, parcel: str) -> None:
    hand_over = run.step("hand-over", parcel, kind="parcels/hand-over", retry=HOURLY)
    run.step("thank", parcel, kind="parcels/thank", depends_on=hand_over, delay=HOUR)


@parcels.executor("parcels/hand-over")
async def hand_over(step: StepContext, parcel: str) -> str:
    await trio.sleep(60)  # the carrier's service is slow; no test waits for it
    if step.attempt < 4:
        raise Retryable("carrier_busy", "try again later")
    return f"{parcel} is on its way"


@parcels.executor("parcels/thank")
async def thank(step: StepContext, parcel: str) -> str:
    return f"thank you for {parcel}"


async def test_a_parcel_is_handed_over_after_hours_of_backoff(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        rt.register_package(parcels)
        await rt.start_run("parcels", "parcel 7", run_id="seven")
        await run_until_idle(rt)

        result = await rt.result("seven", "hand-over")
        assert result is not None
        assert result.value(str) == "parcel 7 is on its way"
        starts = [attempt.started_at for attempt in result.attempts]
        waited = [(after - before).total_seconds() for before, after in pairwise(starts)]
        assert waited == [60 + HOUR, 60 + 2 * HOUR, 60 + 4 * HOUR]
        # Four attempts of a minute, the backoff between them, and the delay of the last step.
        assert trio.current_time() == 4 * 60 + 7 * HOUR + HOUR


def main() -> None:
    clock = MockClock(autojump_threshold=0)
    began = time.perf_counter()
    trio.run(test_a_parcel_is_handed_over_after_hours_of_backoff, clock, clock=clock)
    print(f"virtual time: {clock.current_time() / HOUR:.2f} hours")
    print(f"real time: {time.perf_counter() - began:.3f} seconds")


if __name__ == "__main__":
    main()
