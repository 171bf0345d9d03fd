"""What a process that does not end is doing: its threads, its tasks, and its state as the system sees it."""

import faulthandler
import signal
import sys
from pathlib import Path

import trio

THREADS, TASKS = signal.SIGQUIT, signal.SIGXCPU
"""Signals on which a process writes these to standard error."""

FACTS = ("State", "Threads", "SigBlk", "voluntary_ctxt_switches")


def write_when_asked() -> None:
    """The threads are written also while the main thread runs no Python code; the tasks are not."""
    faulthandler.register(THREADS, all_threads=True)
    signal.signal(TASKS, lambda *_: print(tasks(), file=sys.stderr, flush=True))


def state_of(pid: int) -> str:
    """Some of what the system says of a process, as one line."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return "unknown"
    return ", ".join(" ".join(line.split()) for line in lines if line.startswith(FACTS))


def tasks() -> str:
    """The tree of trio's tasks, and where each of them waits."""
    try:
        return "\n".join(_tree(trio.lowlevel.current_root_task(), 0))
    except RuntimeError as error:
        return f"no tasks: {error}"


def _tree(task: trio.lowlevel.Task | None, depth: int) -> list[str]:
    if task is None:
        return ["no task"]
    lines = [f"{'  ' * depth}task {task.name}"]
    lines += [
        f"{'  ' * depth}  {Path(frame.f_code.co_filename).name}:{line} {frame.f_code.co_qualname}"
        for frame, line in task.iter_await_frames()
    ]
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            lines += _tree(child, depth + 1)
    return lines
