"""The bugs of real_bugs.py fit the source; `python -m tests.planted.real` plants each and runs its test."""

from .harness import PACKAGE
from .real_bugs import REAL_BUGS


def test_every_bug_fits_the_source_and_names_a_test() -> None:
    assert len({real.bug.name for real in REAL_BUGS}) == len(REAL_BUGS) >= 40
    for real in REAL_BUGS:
        source = (PACKAGE / real.bug.file).read_text(encoding="utf-8")
        assert real.bug.applied(source) != source
        file, _, name = real.test.partition("::")
        assert name.partition("[")[0] in (PACKAGE.parent / "tests" / file).read_text(encoding="utf-8")
