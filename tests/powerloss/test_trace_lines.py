"""The text of a trace, as calls."""

import pytest

from .strace_output import Call, StraceError, bytes_of, read_calls


def test_a_line_is_a_call() -> None:
    [call] = read_calls(['7  pwrite64(3<\\x2f\\x61>, "\\x68\\x69", 2, 4096) = 2\n'])
    assert call == Call("pwrite64", ("3<\\x2f\\x61>", '"\\x68\\x69"', "2", "4096"), 2, "", 0, 0)
    assert bytes_of(call.arguments[1]) == b"hi"


def test_a_call_that_was_split_begins_at_its_first_line_and_ends_at_its_last() -> None:
    calls = read_calls(
        [
            "7  fsync(3<\\x2f\\x61> <unfinished ...>",
            '8  unlink("\\x2f\\x62") = 0',
            "7  <... fsync resumed>)   = 0",
        ]
    )
    assert [(call.name, call.begin, call.end) for call in calls] == [("unlink", 1, 1), ("fsync", 0, 2)]


def test_a_call_that_never_returned_has_no_end() -> None:
    calls = read_calls(
        ["7  fsync(3<\\x2f\\x61> <unfinished ...>", '8  unlink("\\x2f") = ?', "8  +++ killed +++"]
    )
    assert [(call.name, call.result, call.end) for call in calls] == [
        ("unlink", None, None),
        ("fsync", None, None),
    ]


def test_a_call_that_failed_is_known_by_its_result() -> None:
    [call] = read_calls(['7  mkdir("\\x61", 0777) = -1 EEXIST (File exists)'])
    assert call.has_failed


def test_the_path_of_a_file_that_was_opened_follows_the_result() -> None:
    [call] = read_calls(['7  openat(AT_FDCWD<\\x2f>, "\\x61", O_RDWR|O_CREAT, 0600) = 5<\\x2f\\x61>'])
    assert call.arguments[2:] == ("O_RDWR|O_CREAT", "0600")
    assert (call.result, call.result_text) == (5, "<\\x2f\\x61>")


def test_signals_and_exits_are_no_calls() -> None:
    assert read_calls(["7  +++ exited with 0 +++", "7  --- SIGCHLD {si_signo=SIGCHLD} ---"]) == []


def test_a_text_that_was_cut_is_an_error() -> None:
    with pytest.raises(StraceError, match="too small"):
        bytes_of('"\\x61"...')


def test_a_line_that_is_no_call_is_an_error() -> None:
    with pytest.raises(StraceError, match="line 1 of the trace is no call"):
        read_calls(["7  something else"])
