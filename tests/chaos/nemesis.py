"""The faults of the plan, carried out."""

import signal
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import attrs
import trio

from .descriptors import Descriptors
from .disk import Disk
from .faults import Fault, FaultKind
from .fleet import Fleet, Member
from .journal import EXECUTIONS, Journal, read
from .program import REMOVE_RUNS, SECOND_RUNTIME, Site

TIME_TO_END = 40.0
"""Seconds that a worker may take to end in order; it may be stopped, or its store locked, for part of it."""


@attrs.frozen
class Nemesis:
    site: Site
    fleet: Fleet
    starter: Member
    disk: Disk
    journal: Journal

    async def carry_out(self, faults: list[Fault]) -> None:
        """Each at its time; returns when the last is over, and everything that was taken is given back."""
        began = trio.current_time()
        deeds: dict[FaultKind, Callable[[Fault], Awaitable[None]]] = {
            FaultKind.KILL: self._kill,
            FaultKind.PAUSE: self._pause,
            FaultKind.DRAIN: partial(self._end, number=signal.SIGTERM),
            FaultKind.STOP: partial(self._end, number=signal.SIGHUP),
            FaultKind.HOG: self._hog,
            FaultKind.FULL: self._fill,
            FaultKind.RESTART: self._restart_all,
            FaultKind.BACKUP: self._back_up,
            FaultKind.SECOND: self._open_second_runtimes,
            FaultKind.REMOVE: self._remove_runs,
            FaultKind.READER: self._read,
            FaultKind.DESCRIPTORS: self._take_descriptors,
        }
        async with trio.open_nursery() as nursery:
            for fault in faults:
                await trio.sleep_until(began + fault.at)
                nursery.start_soon(deeds[fault.kind], fault)

    def _target(self, fault: Fault) -> Member:
        return self.fleet.workers[fault.target]

    async def _kill(self, fault: Fault) -> None:
        self.fleet.tell(self._target(fault), "kill", signal.SIGKILL)
        await trio.lowlevel.checkpoint()

    async def _pause(self, fault: Fault) -> None:
        member = self._target(fault)
        self.journal.note("pause", pid=member.pid, seconds=fault.seconds)
        member.process.send_signal(signal.SIGSTOP)
        try:
            await trio.sleep(fault.seconds)
        finally:
            member.process.send_signal(signal.SIGCONT)
            self.journal.note("resume", pid=member.pid)

    async def _end(self, fault: Fault, number: signal.Signals) -> None:
        """One that was told to end before is left to do so."""
        member = self._target(fault)
        if not member.wanted:
            self.fleet.tell(member, fault.kind, number)
            await self.fleet.has_ended(member, TIME_TO_END)

    async def _hog(self, fault: Fault) -> None:
        self.journal.note("hog", seconds=fault.seconds)
        hog = self.fleet.start_helper("hog", str(self.site.database), str(fault.seconds))
        await self.fleet.has_ended(hog, TIME_TO_END)

    async def _restart_all(self, fault: Fault) -> None:
        """Each worker ends in order, and another takes its place, before the next is told."""
        for place in range(len(self.fleet.workers)):
            await self._end(attrs.evolve(fault, target=place), signal.SIGINT)

    async def _open_second_runtimes(self, fault: Fault) -> None:
        self.journal.note("second")
        for member in [*self.fleet.workers, self.starter]:
            member.process.send_signal(SECOND_RUNTIME)
        await trio.lowlevel.checkpoint()

    async def _remove_runs(self, fault: Fault) -> None:
        member = self._target(fault)
        self.journal.note("remove", pid=member.pid)
        member.process.send_signal(REMOVE_RUNS)
        await trio.lowlevel.checkpoint()

    async def _back_up(self, fault: Fault) -> None:
        self.journal.note("backup")
        await self.fleet.has_ended(self.fleet.start_helper("backup", str(self.site.root)), TIME_TO_END)

    async def _read(self, fault: Fault) -> None:
        self.journal.note("reader", seconds=fault.seconds)
        reader = self.fleet.start_helper("reader", str(self.site.root), str(fault.seconds))
        await self.fleet.has_ended(reader, TIME_TO_END)

    async def _take_descriptors(self, fault: Fault) -> None:
        """From a worker that is ready: one that still imports its modules would only fail to."""
        member = self._target(fault)
        if not any(entry["what"] == "ready" and entry["pid"] == member.pid for entry in self._executions()):
            return
        taken = Descriptors.take(member.pid, spare=int(fault.seconds * 10) % 3)
        if taken is None:
            return
        self.journal.note("descriptors", pid=member.pid, seconds=fault.seconds)
        try:
            await trio.sleep(fault.seconds)
        finally:
            taken.give_back()

    def _executions(self) -> Iterator[dict[str, Any]]:
        return read(self.site.logs / EXECUTIONS)

    async def _fill(self, fault: Fault) -> None:
        self.journal.note("full", seconds=fault.seconds)
        self._set_full(True)
        try:
            await trio.sleep(fault.seconds)
        finally:
            self._set_full(False)
            self.journal.note("room")

    def _set_full(self, is_full: bool) -> None:
        if self.disk.is_small and is_full:
            self.disk.fill()
        elif self.disk.is_small:
            self.disk.free()
        else:
            for worker in self.fleet.workers:
                worker.process.send_signal(signal.SIGUSR1 if is_full else signal.SIGUSR2)
