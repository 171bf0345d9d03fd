"""Which fault strikes where. Every roll comes from a stream of the fault's own."""

import random
import sqlite3
from collections.abc import Sequence
from typing import Any

import outcome
import trio

from trio_workflow.artifacts.file_store import remove
from trio_workflow.artifacts.writer import PartFile
from trio_workflow.errors import RuntimeClosedError, StoreUnavailableError
from trio_workflow.model.outcome import Completion, Success
from trio_workflow.points import Point
from trio_workflow.store.sqlite.committer import Committer
from trio_workflow.store.sqlite.connections import LOCK_WAIT, Readers
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.history import History
from trio_workflow.testing.simulation.world import LATEST_READ, Fault, World

CHANCES = {
    Fault.CRASH_BEFORE: 0.01,
    Fault.CRASH_INSIDE: 0.005,
    Fault.CRASH_AFTER: 0.01,
    Fault.CRASH_BETWEEN: 0.02,
    Fault.CRASH_BYTES: 0.3,
    Fault.LOST_ANSWER: 0.04,
    Fault.SLOW: 0.08,
    Fault.LOCKED: 0.1,
    Fault.DISK_FULL: 0.01,
    Fault.IO_ERROR: 0.02,
    Fault.LATE_PUT: 0.2,
}


CHANCE_OF_FAILED_REMOVAL = 0.2
"""Of a try to remove an artifact's bytes, where operators delete runs. It changes how no attempt ends."""


class Faults:
    """Faults of the store and of processes. They stop when `is_over`."""

    def __init__(self, world: World, history: History) -> None:
        self._world, self._history = world, history
        self._rolls: dict[Fault, random.Random] = {}
        self._reads = world.random("reads")
        self._removals = world.random("removals")
        self._full_until = 0.0
        self._slow_until: dict[Actor, float] = {}
        self._put_late_at = 0.0  # when the last process that was stopped within a put or a removal goes on
        self.saving = set[Actor]()  # those whose next write is a checkpoint
        self._locked_out = set[Actor]()  # those whose next try finds the write lock taken
        self.is_over = False

    def strikes(self, fault: Fault, chance: float | None = None) -> bool:
        """Whether it does, here and now; counted if so."""
        if self.is_over or fault not in self._world.faults:
            return False
        if self.roll(fault).random() >= (CHANCES[fault] if chance is None else chance):
            return False
        self.count(fault)
        return True

    def count(self, fault: Fault) -> None:
        self._history.count("fault", fault)
        self._history.note(f"fault: {fault}")

    def roll(self, fault: Fault) -> random.Random:
        return self._rolls.setdefault(fault, self._world.random(fault))

    # Where they strike.

    def at_lock(self, process: Actor) -> None:
        if self.strikes(Fault.CRASH_BEFORE):
            process.die_here()
        if process in self._locked_out or self.strikes(Fault.LOCKED, 0.02):
            raise _error("database is locked", sqlite3.SQLITE_BUSY)

    def in_transaction(self, process: Actor, point: Point, conn: sqlite3.Connection) -> None:
        """A failing disk may end the transaction by itself."""
        try:
            self._strike_in_transaction(process, point)
        except sqlite3.OperationalError:
            if self.roll(Fault.DISK_FULL).random() < 0.5:
                conn.execute("ROLLBACK")
            raise

    def _strike_in_transaction(self, process: Actor, point: Point) -> None:
        if self.strikes(Fault.CRASH_INSIDE):
            process.die_here()
        if self.strikes(Fault.IO_ERROR, 0.05 if self._world.keeps_leases else None):
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)
        if self.strikes(Fault.DISK_FULL):
            self._full_until = trio.current_time() + self.roll(Fault.DISK_FULL).random() * self._world.lease
        if not self.is_over and trio.current_time() < self._full_until and point is not Point.BEGIN:
            raise _error("database or disk is full", sqlite3.SQLITE_FULL)

    def in_complete(self, completions: Sequence[Completion]) -> None:
        """Some successes cannot be stored, however often they are offered."""
        for completion in completions:
            poison = self._world.random(f"poison {completion.token}")
            if (
                isinstance(completion.outcome, Success)
                and poison.random() < 0.15
                and self.strikes(Fault.POISON, 1)
            ):
                raise _error("this outcome cannot be stored", sqlite3.SQLITE_CONSTRAINT)

    def after_commit(self, process: Actor, batch: Sequence[Any]) -> None:
        if self.strikes(Fault.CRASH_AFTER):
            process.die()
        elif self.strikes(Fault.LOST_ANSWER):
            for entry in batch:
                lost = StoreUnavailableError("the answer to a commit was lost")
                entry.answers = [outcome.Error(lost) for _ in entry.verbs]

    def between(self, process: Actor) -> None:
        if self.strikes(Fault.CRASH_BETWEEN):
            process.die()

    def at_bytes(self, process: Actor) -> None:
        if self.strikes(Fault.CRASH_BYTES):
            process.die()

    def at_removal(self, process: Actor) -> None:
        """As with the rows of a transaction: of what is to be removed nothing is."""
        if self.strikes(Fault.CRASH_BYTES):
            process.die_here()
        has_faults = not self.is_over and Fault.DELETE in self._world.faults
        if has_faults and self._removals.random() < CHANCE_OF_FAILED_REMOVAL:
            self._history.count("removal", "failed")
            raise OSError("the bytes cannot be removed now")

    async def take_time(self, process: Actor, about: object, point: Point) -> None:
        if point is Point.CALL:
            called = getattr(about, "__func__", about)
            if called is Committer.run:
                await self._save_late(process)
                await self._meet_lock(process)
            elif called in (PartFile.write, PartFile.commit):
                await self._be_late(process)
            elif called is remove:
                await self._be_late(process, 0.5)
        elif self._world.is_calm and getattr(about, "__func__", None) is Readers.read_here:
            await self._answer_late()
        is_slow = trio.current_time() < self._slow_until.get(process, 0.0)
        if self.strikes(Fault.SLOW, 0.5 if is_slow else None):
            roll = self.roll(Fault.SLOW)
            if not is_slow and roll.random() < 0.3:  # and it stays so for a while
                self._slow_until[process] = trio.current_time() + 3 * self._world.lease
            await trio.sleep(roll.random() * self._world.lease * roll.choice((0.1, 0.5, 2.0)))

    async def _answer_late(self) -> None:
        """What was read is old by the time that it is known."""
        if self._reads.random() < 0.3:
            await trio.sleep(self._reads.random() * LATEST_READ)

    async def _save_late(self, process: Actor) -> None:
        if process in self.saving:
            self.saving.discard(process)
            await self._be_late(process)

    async def _be_late(self, process: Actor, chance: float | None = None) -> None:
        """Stop it for so long that another, not stopped, may take its step, and store what it stores."""
        if trio.current_time() >= self._put_late_at and self.strikes(Fault.LATE_PUT, chance):
            pause = (2 + 2 * self.roll(Fault.LATE_PUT).random()) * self._world.lease
            self._put_late_at = trio.current_time() + pause
            process.freeze_for(pause)
            await trio.lowlevel.checkpoint()

    async def _meet_lock(self, process: Actor) -> None:
        """A try to take the lock takes its time, and is often followed by another."""
        chance = 0.6 if process in self._locked_out else None
        self._locked_out.discard(process)
        if self.strikes(Fault.LOCKED, chance):
            await trio.sleep(LOCK_WAIT)
            self._locked_out.add(process)


def _error(message: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


def gone() -> RuntimeClosedError:
    """What a transaction of a process that has just died meets, in place of never being heard of again."""
    return RuntimeClosedError("the process of this simulation is dead")
