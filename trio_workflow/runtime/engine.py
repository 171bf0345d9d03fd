"""What all parts of one runtime share, and its two ways to end early: a crash, and `crash(rt)` of a test."""

import logging
import math
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

import trio

from trio_workflow.artifacts import ArtifactStore
from trio_workflow.authoring.run_builder import Limits
from trio_workflow.clock import Clock
from trio_workflow.errors import ConfigError, RuntimeClosedError, RuntimeCrashedError, WorkflowError
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.drift import Drift
from trio_workflow.runtime.events import EventBoard
from trio_workflow.runtime.hub import Hub
from trio_workflow.runtime.keeper import KeeperStatistics
from trio_workflow.runtime.registry import Registry
from trio_workflow.runtime.slots import Slots
from trio_workflow.runtime.values import AsyncBool, AsyncValue
from trio_workflow.source import SOURCE
from trio_workflow.store import Store

logger = logging.getLogger("trio_workflow")


class Engine:
    """State of a runtime that is open. Only the event loop touches it."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self.config, self.store, self.clock = config, store, clock
        self.registry = Registry()
        self.board = EventBoard(config.worker_id, clock)
        self.hub = Hub(self.board)
        self.slots = Slots(config.max_workers)
        self.drift = Drift(clock, config.lease_duration)
        self.limits = Limits(config.default_retry, config.max_payload)
        self.keeping = KeeperStatistics()
        self.claiming = trio.Lock()  # held from reckoning free slots until they are taken
        self.cleaning = trio.Lock()  # held while rows of deleted runs are removed
        self.removing: dict[int, trio.Event] = {}  # removals that are tried now; set when the try has ended
        self.removal_requested = AsyncBool(False)  # something was released that may be removed
        self.next_removal = -math.inf  # when bytes are to be tried next, on trio's clock
        self.last_retried = 0  # key of the removal up to which failed ones were tried again
        self.crash: RuntimeCrashedError | None = None
        self.is_killed = False  # by a test's crash(rt): everything ends, quietly
        self.is_closed = False
        self.is_unavailable = False  # the store could not be written when last tried
        self.told: set[tuple[str, str]] = set()  # what was logged once and need not be again
        self.rate_limited: frozenset[str] = frozenset()
        # Which queue went first in the last claim, by the queues that its session serves. Kept here and begun
        # anywhere, since a session, or a process, may live for one claim only.
        self.went_first: dict[frozenset[str] | None, str] = {}
        self.begins_at = int(SOURCE.roll() * 1000)
        self.sessions: AsyncValue[int] = AsyncValue(0)
        self.poll_intervals: list[float] = []  # of those who want to hear of other processes' work
        self.interest = AsyncBool(False)  # rung when somebody begins to want that
        self._pid = os.getpid()
        self._enders: list[Callable[[], None]] = []

    @property
    def is_dead(self) -> bool:
        """Crashed or killed: nothing more is started, and nothing more is stored."""
        return self.is_killed or self.crash is not None

    def check_open(self) -> None:
        """Raise unless the runtime may be used here and now."""
        if os.getpid() != self._pid:
            raise WorkflowError(
                "a forked child cannot use its parent's workflow runtime: open one of its own"
            )
        if self.crash is not None:
            raise RuntimeCrashedError(str(self.crash)) from self.crash.__cause__
        if self.is_killed:
            raise RuntimeClosedError("the workflow runtime is closed: a test's crash(rt) has dropped it")
        if self.is_closed:
            raise RuntimeClosedError("the workflow runtime is closed: its `async with` block has ended")

    def off_end(self, ender: Callable[[], None]) -> None:
        if ender in self._enders:
            self._enders.remove(ender)

    def on_end(self, ender: Callable[[], None]) -> None:
        """ender: called once, when the engine crashes, is killed, or closes."""
        self._enders.append(ender)

    def end(self) -> None:
        """Everything that runs for this runtime is told to end."""
        self.is_closed = True
        enders, self._enders = self._enders, []
        for ender in enders:
            ender()

    def crash_from(self, cause: Exception) -> None:
        """The engine cannot go on. The first cause is the one that is told."""
        if self.crash is None and not self.is_killed and not self.is_closed:
            logger.critical("the workflow engine cannot go on: %s", cause)
            self.crash = RuntimeCrashedError(f"the workflow engine cannot go on: {cause}")
            self.crash.__cause__ = cause
            self.end()

    def kill(self) -> None:
        """End as if the process had been killed: nothing more is stored, leases are left to run out."""
        self.is_killed = True
        self.store.sever()
        self.end()

    @contextmanager
    def hears_of_others(self, interval: float) -> Generator[None]:
        """Within the block other processes' work is noticed, at most `interval` seconds late."""
        self.poll_intervals.append(interval)
        self.interest.value = True
        try:
            yield
        finally:
            self.poll_intervals.remove(interval)

    def note_store(self, error: Exception | None) -> None:
        """The store could not be written, or it could: told when that changes."""
        if (error is not None) == self.is_unavailable:
            return
        self.is_unavailable = error is not None
        if error is None:
            logger.info("the workflow store can be written again")
            self.board.note("store_available", "the store can be written again")
        else:
            logger.warning("nothing is started until the workflow store can be written: %s", error)
            self.board.note("store_unavailable", str(error))

    def publish(self) -> None:
        """Tell everybody what was committed. Who comes first tells it all, in the order of the commits."""
        for changes in self.store.take_changes():
            self.hub.publish(changes)
            if changes.released:
                self.removal_requested.value = True

    @property
    def artifacts(self) -> ArtifactStore:
        if self.config.artifact_store is None:
            raise ConfigError("artifact store is not configured")
        return self.config.artifact_store

    def tell_once(self, kind: str, subject: str) -> bool:
        """Whether this is the first time."""
        news = (kind, subject) not in self.told
        self.told.add((kind, subject))
        return news
