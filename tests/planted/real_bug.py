"""A bug that the simulation cannot see, and the test that finds it."""

import attrs

from .bug import Bug, bug

OFFLOAD = "offload.py"
SQLITE = "store/sqlite/"
ARTIFACTS = "artifacts/"
PROJECTIONS = "projections/"
RUNTIME = "runtime/"

LEFT = "test_nothing_is_left.py::"
LIMITS = "test_thread_limits.py::"
RECEIVERS = "test_cancelled_receivers.py::"


@attrs.frozen
class RealBug:
    """test: the id, below tests/, of a test that is red with the bug."""

    bug: Bug
    test: str


def real(test: str, name: str, file: str, *edits: str) -> RealBug:
    """edits: old, new, old, new, ..."""
    return RealBug(bug(name, file, *edits), test)
