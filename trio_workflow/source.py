"""The one source of what is random: fencing tokens, run ids and jitter.

It reads the operating system's randomness, so that tokens are unique for ever, over processes, restarts and
restored backups. `trio_workflow.testing.deterministic` replaces it for the time of a test.
"""

import random
import uuid


class Source:
    def __init__(self) -> None:
        self._random: random.Random = random.SystemRandom()
        self._mark = ""  # sets the tokens of two that draw alike apart

    def tokens(self, count: int) -> list[str]:
        """Fencing tokens of 128 random bits each."""
        drawn = self._random.randbytes(16 * count).hex()
        return [self._mark + drawn[at : at + 32] for at in range(0, len(drawn), 32)]

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def roll(self) -> float:
        """A number in 0..1 for jitter."""
        return self._random.random()

    def replace(self, other: random.Random, mark: str) -> tuple[random.Random, str]:
        """Draw from `other` from now on; answers what to give back with another call."""
        before = self._random, self._mark
        self._random, self._mark = other, mark
        return before


SOURCE = Source()
