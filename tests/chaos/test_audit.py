"""The audit can fail: a sound run that is spoiled in one place is found out by the right check."""

import shutil
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from . import journal, spoilt_store, spoilt_work
from .audit import CHECKS
from .audit_kit import PID, SPOILT, Copy, Spoil, play
from .program import LEASE, Site

DECLARED_IN = (spoilt_store, spoilt_work)
"""Where the ways to spoil a run are declared."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("chaos"))
    for folder in site.folders:
        folder.mkdir()
    trio.run(play, site, clock=MockClock(autojump_threshold=0))
    return site


@pytest.fixture
def copy(sound: Site, tmp_path: Path) -> Copy:
    site = Site(tmp_path / "copy")
    shutil.copytree(sound.root, site.root)
    return Copy(site)


def test_a_sound_run_has_no_findings(copy: Copy) -> None:
    assert copy.found() == []


@pytest.mark.parametrize(
    ("outcome", "seconds", "is_fine"),
    [("lease_lost", LEASE, True), ("lease_lost", LEASE - 0.1, False), ("canceled", 0.1, True)],
)
def test_an_overlap_is_explained_by_a_lease_that_had_run_out(
    copy: Copy, outcome: str, seconds: float, is_fine: bool
) -> None:
    spoilt_work.two_executions_at_once(copy)
    copy.sql(
        f"UPDATE attempts SET outcome = '{outcome}', started_at = finished_at - {int(seconds * 1_000_000)} "
        f"WHERE number = 1 AND step_key = {copy.step('leaf-2')}"
    )
    checks = [line.partition(":")[0] for line in copy.found()]
    assert checks == ([] if is_fine else [spoilt_work.LEASED, spoilt_work.OVERLAP])


@pytest.mark.parametrize(
    ("wanted", "code", "is_fine"),
    [
        ("drain", 0, True),
        ("drain", 1, False),
        ("drain", -9, False),
        ("drain", -15, False),  # it had its handlers
        ("kill", -9, True),
        ("kill", 1, False),
        ("kill", -15, False),
        ("", -11, False),
    ],
)
def test_exit_codes(copy: Copy, wanted: str, code: int, is_fine: bool) -> None:
    change = {"wanted": wanted, "code": code}
    copy.edit(journal.FAULTS, lambda entry: entry | change if entry["what"] == "exit" else entry)
    told = wanted or "nothing"
    expected = [] if is_fine else [f"{spoilt_work.TOLD}: worker {PID} was told {told}, and ended with {code}"]
    assert copy.found() == expected


@pytest.mark.parametrize("wanted", ["drain", "kill"])
def test_one_that_was_told_before_it_listened_may_end_by_the_signal(copy: Copy, wanted: str) -> None:
    copy.note(journal.FAULTS, "launch", role="worker", pid=7)
    copy.note(journal.FAULTS, "exit", role="worker", pid=7, wanted=wanted, code=-15)
    assert copy.found() == []


def test_of_a_process_that_is_stuck_the_end_of_its_log_is_reported(copy: Copy) -> None:
    log = "worker-70"
    copy.note(journal.FAULTS, "launch", role="worker", pid=70, log=log)
    copy.note(journal.FAULTS, "exit", role="worker", pid=70, wanted="kill", code=-9)
    copy.note(journal.FAULTS, "stuck", role="worker", pid=70, wanted="drain", seconds=40, state="State: S")
    (copy.site.logs / f"{log}.stderr").write_text("the first line\ntask of the stuck one\n")
    [found] = copy.found()
    assert "did not end within 40 s: State: S" in found
    assert "task of the stuck one" in found


def test_a_traceback_of_each_role_is_reported(copy: Copy) -> None:
    for name in ("hog-71", "worker-72", "worker-73"):
        (copy.site.logs / f"{name}.stderr").write_text(f"Traceback (most recent call last):\n  {name}\n")
    found = copy.found()
    assert len(found) == 2
    assert "a hog wrote a traceback" in found[0]
    assert "a worker wrote a traceback" in found[1]


def test_complaints_of_the_driver_are_findings(copy: Copy) -> None:
    assert copy.found("3 runs had not ended") == ["nobody complained: 3 runs had not ended"]


@pytest.mark.parametrize(
    ("check", "message", "spoil"), SPOILT, ids=[spoil.__name__ for _, _, spoil in SPOILT]
)
def test_what_is_spoilt_is_found(copy: Copy, check: str, message: str, spoil: Spoil) -> None:
    spoil(copy)
    found = copy.found()
    assert [line for line in found if line.startswith(f"{check}: ") and message in line], found


def test_every_check_is_seen_to_fail() -> None:
    names = {check.__name__.replace("_", " ") for check in CHECKS}
    assert {check for check, _, _ in SPOILT} == names
