"""The text that `strace -f -y -xx` writes, as calls.

With several threads a call may be split: its line ends with "<unfinished ...>" where another thread's line
came between, and "<... NAME resumed>" holds the rest. begin is the line where it was issued, end where it
returned.
"""

import re
from collections.abc import Iterable, Iterator

import attrs

_LINE = re.compile(r"(\d+) +(.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)", re.DOTALL)
_RETURNED = re.compile(r"(.*)\) += (-?\d+|\?)(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


class StraceError(Exception):
    """The trace holds something that the recorder does not know."""


@attrs.frozen
class Call:
    """arguments: as strace prints them, texts in hexadecimal. result: None if the call never returned.

    result_text: what follows the number, such as the path of a file that was opened.
    """

    name: str
    arguments: tuple[str, ...]
    result: int | None
    result_text: str
    begin: int
    end: int | None

    @property
    def has_failed(self) -> bool:
        return self.result is not None and self.result < 0


def read_calls(lines: Iterable[str]) -> list[Call]:
    """The calls in the order in which they returned; those that never did come last."""
    calls: list[Call] = []
    open_calls: dict[str, tuple[int, str]] = {}  # thread -> where its call began, and its text so far
    for position, line in enumerate(lines):
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None:
            raise StraceError(f"line {position + 1} of the trace has no thread: {line[:200]!r}")
        thread, text = found[1], found[2]
        if text.startswith(("+++", "---")):
            continue
        begin, resumed = position, _RESUMED.fullmatch(text)
        if resumed is not None:
            begin, start = open_calls.pop(thread)
            text = start + resumed[1]
        if text.endswith(_UNFINISHED):
            open_calls[thread] = begin, text.removesuffix(_UNFINISHED)
        else:
            calls.append(_call(text, begin, position))
    calls += (_call(f"{text}) = ?", begin, None) for begin, text in sorted(open_calls.values()))
    return calls


def _call(text: str, begin: int, end: int | None) -> Call:
    called = _CALL.fullmatch(text)
    returned = None if called is None else _RETURNED.fullmatch(called[2])
    if called is None or returned is None:
        raise StraceError(f"line {begin + 1} of the trace is no call: {text[:200]!r}")
    arguments = tuple(_split(returned[1]))
    if returned[2] == "?":  # its thread was killed in it
        return Call(called[1], arguments, None, "", begin, None)
    return Call(called[1], arguments, int(returned[2]), returned[3].strip(), begin, end)


def _split(arguments: str) -> Iterator[str]:
    """Commas and brackets in texts are printed in hexadecimal: each comma outside of {} and [] splits."""
    depth, start = 0, 0
    for found in re.finditer(r"[\[{}\],]", arguments):
        sign = found[0]
        if sign == ",":
            if depth == 0:
                yield arguments[start : found.start()].strip()
                start = found.end()
        else:
            depth += 1 if sign in "[{" else -1
    last = arguments[start:].strip()
    if last:
        yield last


def bytes_of(text: str) -> bytes:
    """The bytes of a text that was printed in hexadecimal, in quotes or not."""
    if text.endswith("..."):
        raise StraceError("strace cut a text: its option -s is too small")
    return bytes.fromhex(text.strip('"').replace("\\x", ""))
