"""What is written about a process that does not end."""

import os

import trio

from .stuck import state_of, tasks


async def _wait_for_ever(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    task_status.started()
    await trio.sleep_forever()


async def test_the_tree_names_each_task_and_where_it_waits() -> None:
    async with trio.open_nursery() as outer:
        await outer.start(_wait_for_ever, name="the stuck one")
        lines = tasks().splitlines()
        outer.cancel_scope.cancel()
    at = next(number for number, line in enumerate(lines) if line.endswith("task the stuck one"))
    assert "test_stuck.py" in lines[at + 1]
    assert "_wait_for_ever" in lines[at + 1]


def test_outside_of_trio_there_are_no_tasks() -> None:
    assert tasks().startswith("no tasks")


def test_the_state_is_the_systems() -> None:
    assert state_of(os.getpid()).startswith("State: ")
    assert state_of(2**30) == "unknown"
