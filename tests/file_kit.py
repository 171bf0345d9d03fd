"""Facts about a file that this process has open in SQLite, found out without harm to SQLite's locks.

POSIX drops a process's locks on a file when it closes any descriptor of it. So a child process opens it.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

CHILD = """
import fcntl, json, pathlib, struct, sys

SHARED, LENGTH = 1073741826, 510  # the bytes that a WAL connection locks for as long as it is open

def content(path):
    return path.read_bytes() if path.exists() else b""

def lock_holder(path):
    asked = struct.pack("hhqqi", fcntl.F_WRLCK, 0, SHARED, LENGTH, 0)
    with path.open("r+b") as file:
        kind, _, _, _, pid = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return b"%d" % (0 if kind == fcntl.F_UNLCK else pid)

for line in sys.stdin.buffer:
    name, path = json.loads(line)
    answer = {"content": content, "lock_holder": lock_holder}[name](pathlib.Path(path))
    sys.stdout.buffer.write(b"%d\\n" % len(answer) + answer)
    sys.stdout.buffer.flush()
"""


@cache
def _child() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", CHILD]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _ask(name: str, path: Path) -> bytes:
    child = _child()
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps([name, str(path)]).encode() + b"\n")
    child.stdin.flush()
    return child.stdout.read(int(child.stdout.readline()))


def content(path: Path) -> bytes:
    """The bytes of a file, none where there is no file."""
    return _ask("content", path)


def lock_holder(path: Path) -> int:
    """The process that holds SQLite's lock on a database as a WAL connection does, 0 if none does."""
    return int(_ask("lock_holder", path))
