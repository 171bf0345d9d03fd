"""Traces that a test writes by hand."""

from .events import Recording
from .recording import Recorder
from .strace_output import read_calls

ROOT, MARKS = "/store", "/marks"


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def quoted(text: str) -> str:
    return f'"{hexed(text)}"'


def fd(number: int, path: str) -> str:
    """A descriptor as strace -y prints it."""
    return f"{number}<{hexed(path)}>"


def opened(path: str, number: int, flags: str = "O_RDWR|O_CREAT") -> str:
    return f"openat(AT_FDCWD<{hexed('/')}>, {quoted(path)}, {flags}, 0600) = {fd(number, path)}"


def recorded(*calls: str) -> Recording:
    """The recording of these calls, all of one thread."""
    return Recorder(ROOT, MARKS).recording(read_calls(f"1  {call}" for call in calls))
