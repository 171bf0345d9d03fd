"""What is committed is there after a crash, whatever is left of the log, and of a checkpoint, behind it."""

import random
from pathlib import Path

import pytest
from log_kit import FRAME_HEADER, LOG_HEADER, PAGE, Log, leave, reopened, write_log

CUTS, FLIPS = 1000, 300


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return write_log(tmp_path_factory.mktemp("log") / "engine.db")


def test_the_log_holds_commits_that_differ(written: Log) -> None:
    sizes = [size for size, _ in written.commits]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == len(written.log)
    assert len({state for _, state in written.commits}) == len(sizes) > 30


def test_every_commit_before_the_cut_of_a_log_is_there_and_none_by_halves(
    written: Log, tmp_path: Path
) -> None:
    dice = random.Random(20)
    at_commits = [size + shift for size, _ in written.commits for shift in (-1, 0, 1)]
    cuts = [cut for cut in at_commits if 0 <= cut <= len(written.log)]
    cuts += [dice.randint(0, len(written.log)) for _ in range(CUTS)]
    for cut in cuts:
        path = leave(tmp_path / "engine.db", written.database, written.log[:cut])
        assert reopened(path) == written.whole_before(cut), f"cut at {cut}"


def test_every_commit_before_a_damaged_byte_of_a_log_is_there_and_none_by_halves(
    written: Log, tmp_path: Path
) -> None:
    dice = random.Random(21)
    for _ in range(FLIPS):
        at = dice.randrange(len(written.log))
        log = bytearray(written.log)
        log[at] ^= 1 << dice.randrange(8)
        path = leave(tmp_path / "engine.db", written.database, bytes(log))
        assert reopened(path) == written.whole_before(at), f"damaged at {at}"


def test_a_checkpoint_that_was_cut_off_loses_nothing(written: Log, tmp_path: Path) -> None:
    """It copies the newest frame of every page, in the order of the pages: the first one says how many."""
    newest = sorted(dict(written.frames()).items())
    assert newest[-1][0] * PAGE > len(written.database)  # the database grows by it
    database = bytearray(written.database)
    for number, page in newest:
        database[(number - 1) * PAGE : number * PAGE] = page
        path = leave(tmp_path / "engine.db", bytes(database), written.log)
        assert reopened(path) == written.commits[-1][1], f"cut off after page {number}"


def test_frames_are_read_as_sqlite_lays_them_out(written: Log) -> None:
    assert (len(written.log) - LOG_HEADER) % (FRAME_HEADER + PAGE) == 0
