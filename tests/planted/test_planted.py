"""Each planted bug is found in the seed that is on record; `python -m tests.planted` searches anew."""

import pytest

from .bug import Bug
from .harness import BUGS, PACKAGE, Found, look_for, recorded


def test_every_bug_fits_the_source_and_has_a_seed() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 25
    for bug in BUGS:
        source = (PACKAGE / bug.file).read_text(encoding="utf-8")
        assert bug.applied(source) != source
    assert set(recorded()) == {bug.name for bug in BUGS}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_simulation_finds(bug: Bug) -> None:
    expected = recorded()[bug.name]
    found = look_for(bug, [expected.seed])
    assert found == Found(expected.seed, expected.check), "search again with `python -m tests.planted`"
