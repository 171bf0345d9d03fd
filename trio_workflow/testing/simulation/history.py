"""What happened in a world, line by line, and what was found to be broken."""

import hashlib
from collections import Counter, deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import attrs
import trio

from trio_workflow.runtime.failures import leaves_of
from trio_workflow.testing.simulation.places import place_of

SHOWN = 60  # lines kept for people to read

USERS = ("your reset", "your set-up", "your start", "your start or entrypoint", "your check")
"""The checks that are user code."""


@attrs.frozen
class Broken:
    """check: which check fired. about: what it saw. place: where user code raised what it told. cause: that,
    unless the world was played in another process."""

    check: str
    about: str
    time: float
    place: str = ""
    cause: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.check} ({self.about}), at {self.time:.3f} s{self.place}"


@attrs.define(eq=False)
class History:
    """folder: where the world's files are, by a name that differs each time. counts: what was reached, by
    sort and name. broken: the first violations. lines: the last ones, equal neighbours as one. trace: all, if
    it is whole."""

    folder: str
    is_whole: bool = False
    counts: dict[str, Counter[str]] = attrs.field(factory=dict[str, Counter[str]])
    broken: list[Broken] = attrs.field(factory=list[Broken])
    lines: deque[str] = attrs.field(factory=lambda: deque[str](maxlen=SHOWN))
    trace: list[str] = attrs.field(factory=list[str])
    is_broken: trio.Event = attrs.field(factory=trio.Event)
    _is_users: bool = False  # user code raised something: what comes of that is nobody else's
    _last: str = ""  # the text of the last line, and how often it came in a row
    _times: int = 0
    _digest: Any = attrs.field(factory=hashlib.sha256)

    def note(self, text: str) -> None:
        """A line of the trace: equal worlds have equal traces."""
        text = text.replace(self.folder, "...")
        line = f"{_now():9.3f}  {text}"
        self._digest.update(line.encode())
        self._times = self._times + 1 if text == self._last else 1
        if self.is_whole:
            self.trace.append(line)
        if self._times > 1:
            self.lines[-1] = f"{line}  ({self._times} times in a row)"
        else:
            self.lines.append(line)
        self._last = text

    def count(self, sort: str, name: str, by: int = 1) -> None:
        self.counts.setdefault(sort, Counter())[name] += by

    def tell(self, check: str, about: str, cause: BaseException | None = None) -> None:
        """Something is broken that must not be."""
        if self._is_users:
            return
        self.note(f"BROKEN {check}: {about}")
        if len(self.broken) < 10:
            place = "" if cause is None else place_of(cause)
            self.broken.append(Broken(check, about, _now(), place, cause))
        self.is_broken.set()

    @contextmanager
    def in_user_code(self, what: str) -> Generator[None]:
        """What the block raises is told, once, and goes no further; interrupts and cancellations do."""
        try:
            yield
        except BaseException as error:
            if is_of_trio(error):
                raise
            self.tell(what, f"{type(error).__name__}: {error}", error)
            self._is_users = True

    @property
    def digest(self) -> str:
        return str(self._digest.hexdigest())


def is_of_trio(error: BaseException) -> bool:
    """Whether it is nobody's mistake: an interrupt, or nothing but a cancellation."""
    leaves = list(leaves_of(error))
    is_interrupt = any(isinstance(leaf, KeyboardInterrupt | GeneratorExit) for leaf in leaves)
    return is_interrupt or all(isinstance(leaf, trio.Cancelled) for leaf in leaves)


def _now() -> float:
    return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0
