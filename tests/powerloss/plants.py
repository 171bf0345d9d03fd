"""Fsync bugs. Each must be found by some states of power loss."""

from tests.planted.bug import bug

PLANTS = (
    bug(
        "commits are not flushed",
        "store/sqlite/connections.py",
        'f"PRAGMA synchronous = {synchronous}"',
        '"PRAGMA synchronous = OFF"',
    ),
)
