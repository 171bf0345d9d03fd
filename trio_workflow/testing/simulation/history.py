"""What happened in a world, line by line, and what was found to be broken."""

import hashlib
from collections import Counter, deque
from typing import Any

import attrs
import trio

SHOWN = 60  # lines kept for people to read


@attrs.frozen
class Broken:
    """check: which check fired. about: what it saw."""

    check: str
    about: str
    time: float

    def __str__(self) -> str:
        return f"{self.check} ({self.about}), at {self.time:.3f} s"


@attrs.define(eq=False)
class History:
    """folder: where the world's files are, by a name that differs each time. counts: what was reached, by
    sort and name. broken: the first violations."""

    folder: str
    counts: dict[str, Counter[str]] = attrs.field(factory=dict[str, Counter[str]])
    broken: list[Broken] = attrs.field(factory=list[Broken])
    lines: deque[str] = attrs.field(factory=lambda: deque[str](maxlen=SHOWN))
    is_broken: trio.Event = attrs.field(factory=trio.Event)
    _digest: Any = attrs.field(factory=hashlib.sha256)

    def note(self, line: str) -> None:
        """A line of the trace: equal worlds have equal traces."""
        line = f"{trio.current_time():9.3f}  {line.replace(self.folder, '...')}"
        self.lines.append(line)
        self._digest.update(line.encode())

    def count(self, sort: str, name: str, by: int = 1) -> None:
        self.counts.setdefault(sort, Counter())[name] += by

    def tell(self, check: str, about: str) -> None:
        """Something is broken that must not be."""
        self.note(f"BROKEN {check}: {about}")
        if len(self.broken) < 10:
            self.broken.append(Broken(check, about, trio.current_time()))
        self.is_broken.set()

    @property
    def digest(self) -> str:
        return str(self._digest.hexdigest())
