"""Each fsync bug is found, and a seed has one recording. Tests that need strace say so in their names."""

import pytest
from planted.harness import PACKAGE, planted

from .campaign import examined, temporary_folder
from .events import Cut, Mark, Names, Recording, Sync, Write
from .plants import PLANTS, Plant
from .record import record
from .setting import Setting

FULL, NORMAL = Setting(0), Setting(1)
STATES = 400
"""States of one recording in which a bug must be found; the search ends with the first that shows it."""


def test_every_plant_fits_the_source() -> None:
    assert len({plant.name for plant in PLANTS}) == len(PLANTS)
    for plant in PLANTS:
        source = (PACKAGE / plant.bug.file).read_text(encoding="utf-8")
        assert plant.bug.applied(source) != source


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_under_strace_states_of_power_loss_find(plant: Plant) -> None:
    with planted(plant.bug) as package, temporary_folder() as folder:
        recording = record(FULL, folder, package)
        violations = examined(FULL, recording, range(STATES), folder)
        assert any(plant.sign in problem for violation in violations for problem in violation.problems)


def test_under_strace_a_seed_in_virtual_time_has_one_recording() -> None:
    """Random names of temporary files differ; which events there are, and of which files, does not."""
    with temporary_folder() as first, temporary_folder() as second:
        one, two = plain(record(NORMAL, first)), plain(record(NORMAL, second))
    assert one == two
    assert {kind for kind, _ in one} == {"Write", "Cut", "Sync", "Names", "Mark"}


def plain(recording: Recording) -> list[tuple[str, object]]:
    """The kind of each event, and what it is about."""
    return [(type(event).__name__, _about(event)) for event in recording.events]


def _about(event: object) -> object:
    if isinstance(event, Write):
        return event.inode, event.offset, len(event.data)
    if isinstance(event, Cut):
        return event.inode, event.size
    if isinstance(event, Names):
        return [(entry.folder, entry.inode) for entry in event.entries]
    assert isinstance(event, Sync | Mark)
    return event.inode if isinstance(event, Sync) else event.line
