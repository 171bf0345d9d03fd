"""What a process holds: open files, threads and memory, to compare before, during and after its runtimes."""

import os
import threading
from pathlib import Path
from typing import Any

import attrs

IDLE_THREAD = "Trio thread"
"""How trio names a worker thread that waits for its next call; it ends by itself after some seconds."""


def open_files() -> dict[str, str]:
    """Descriptor -> what it leads to, without the one that reads this list."""
    folder = f"/proc/{os.getpid()}/fd"
    found: dict[str, str] = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if target != folder:
            found[number] = target
    return found


def busy_threads() -> list[str]:
    """The threads beside the main one that still do something."""
    return [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.name.startswith(IDLE_THREAD)
    ]


def resident_memory() -> int:
    """Bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@attrs.define
class Leaks:
    """Measures at the start; `facts` compares with it at the end."""

    files: dict[str, str] = attrs.field(factory=open_files)
    threads_before: int = attrs.field(factory=threading.active_count)
    threads_at_peak: int = 0
    memory_in_the_middle: int = 0
    memory_at_the_end: int = 0

    def sample(self, *, is_middle: bool = False) -> None:
        self.threads_at_peak = max(self.threads_at_peak, threading.active_count())
        self.memory_at_the_end = resident_memory()
        if is_middle:
            self.memory_in_the_middle = self.memory_at_the_end

    def facts(self) -> dict[str, Any]:
        """To be noted when the last runtime is closed and the event loop has ended."""
        files = sorted(self.files.values())
        for target in open_files().values():
            if target in files:
                files.remove(target)
        now = sorted(open_files().values())
        for target in self.files.values():
            if target in now:
                now.remove(target)
        return {
            "left_open": now,
            "closed_too_many": files,
            "busy_threads": busy_threads(),
            "threads_at_peak": self.threads_at_peak,
            "memory_in_the_middle": self.memory_in_the_middle,
            "memory_at_the_end": self.memory_at_the_end,
        }
