"""The one source of what is random: fencing tokens, run ids and jitter.

It reads the operating system's randomness, so that tokens are unique for ever, over processes, restarts and
restored backups. `trio_workflow.testing.deterministic` replaces it for the time of a test.
"""

import random
import uuid


class Source:
    def __init__(self) -> None:
        self._random: random.Random = random.SystemRandom()
        self._replaced = 0  # times

    def token(self) -> str:
        """A fencing token: 128 random bits."""
        # Two tests with one seed may share a store: their tokens differ all the same.
        return f"{self._random.getrandbits(128) ^ self._replaced:032x}"

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def roll(self) -> float:
        """A number in 0..1 for jitter."""
        return self._random.random()

    def replace(self, other: random.Random) -> random.Random:
        """Draw from `other` from now on; answers what was drawn from before."""
        before, self._random = self._random, other
        self._replaced += 1
        return before


SOURCE = Source()
