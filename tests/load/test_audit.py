"""The audit can fail: a sound run that is damaged in one place is found out by the right check."""

import logging
import shutil
from pathlib import Path

import pytest
import trio
from chaos.program import Site
from trio.testing import MockClock

from . import damaged_processes, damaged_store
from .audit import CHECKS, STORED_CHECKS
from .audit_kit import DAMAGES, JOURNAL, KEEP, PID, Copy, Damage, play
from .facts import micros
from .journals import Entry, read_all

DECLARED_IN = (damaged_store, damaged_processes)
"""Where the damages are declared."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("load"))
    trio.run(play, site, clock=MockClock(autojump_threshold=0))
    return site


@pytest.fixture
def copy(sound: Site, tmp_path: Path) -> Copy:
    site = Site(tmp_path / "copy")
    shutil.copytree(sound.root, site.root)
    return Copy(site)


def test_a_sound_run_has_no_findings(copy: Copy) -> None:
    assert copy.found() == []


def test_complaints_of_the_engines_own_check_are_findings(copy: Copy) -> None:
    assert copy.found("check: 3") == ["nobody complained: check: 3"]


@pytest.mark.parametrize("answer", ["deleted", "", "refused"])
def test_a_run_may_be_missing_when_it_may_have_been_deleted(copy: Copy, answer: str) -> None:
    """An intent without an answer is one that a kill has cut off."""
    copy.remove("run-0")
    copy.note("deleting", run="run-0", call="delete")
    if answer:
        copy.note(answer, run="run-0", call="delete")
    assert bool(copy.found()) == (answer == "refused")


@pytest.mark.parametrize(("seconds_later", "is_fine"), [(KEEP + 1, True), (KEEP - 2, False)])
def test_a_run_may_be_missing_when_it_ended_long_enough_before_a_runtime_that_prunes_closed(
    copy: Copy, seconds_later: float, is_fine: bool
) -> None:
    copy.remove("run-0")
    [end] = {entry["finished"] for entry in _ends(copy)}
    closed = end + micros(seconds_later)
    copy.edit(JOURNAL, lambda entry: entry | {"wall": closed if entry["what"] == "closed" else 0})
    assert (copy.found() == []) == is_fine


def _ends(copy: Copy) -> list[Entry]:
    return [entry for entry in read_all(copy.site) if (entry["what"], entry.get("run")) == ("ended", "run-0")]


def test_a_parked_run_that_was_canceled_may_be_pruned(copy: Copy) -> None:
    copy.remove("run-3")
    assert copy.found() != []
    copy.note("pruning", older_than=0.0, call="prune", wall=2)
    assert copy.found() == []


def test_a_run_that_was_made_anew_may_be_there_after_its_deletion(copy: Copy) -> None:
    copy.note("deleting", run="run-0", call="delete")
    copy.note("deleted", run="run-0", call="delete")
    copy.note("starting", run="run-0", order={"number": 0, "leaves": 6, "shape": "sum"})
    assert copy.found() == []


@pytest.mark.parametrize(("asked", "is_fine"), [(0, True), (2**62, False)])
def test_an_end_that_was_seen_before_a_retry_need_not_be_the_last(
    copy: Copy, asked: int, is_fine: bool
) -> None:
    copy.note("ended", run="run-1", status="failed", finished=1, asked=asked)
    assert (copy.found() == []) == is_fine


@pytest.mark.parametrize(
    ("wanted", "code", "is_fine"),
    [
        ("", 0, True),
        ("restart", 0, True),
        ("restart", -15, True),  # before it had its handler
        ("restart", -1, False),
        ("cancel", -1, True),
        ("kill", -9, True),
        ("kill", 0, True),  # it was ending already
        ("kill", 1, False),
        ("", -11, False),
    ],
)
def test_exit_codes(copy: Copy, wanted: str, code: int, is_fine: bool) -> None:
    damaged_processes._exit(copy, wanted=wanted, code=code)
    asked = wanted or "nothing"
    message = f"{damaged_processes.ASKED}: service {PID} was asked for {asked}, and ended with {code}"
    assert copy.found() == ([] if is_fine else [message])


def test_warnings_of_a_store_that_a_stopped_process_has_locked_are_expected(copy: Copy) -> None:
    copy.log(logging.WARNING, "leases could not be renewed: workflow store x is locked by another process")
    assert copy.found() == []


@pytest.mark.parametrize(
    ("check", "message", "damage"), DAMAGES, ids=[damage.__name__ for _, _, damage in DAMAGES]
)
def test_a_damage_is_found(copy: Copy, check: str, message: str, damage: Damage) -> None:
    damage(copy)
    found = copy.found()
    assert [line for line in found if line.startswith(f"{check}: ") and message in line], found


def test_every_check_is_seen_to_fail() -> None:
    names = {check.__name__.replace("_", " ") for check in (*CHECKS, *STORED_CHECKS)}
    assert {check for check, _, _ in DAMAGES} == names
