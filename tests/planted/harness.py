"""Running the simulation on a copy of the package that has a bug."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path

import attrs

from .artifact_bugs import ARTIFACT_BUGS
from .asking_bugs import ASKING_BUGS
from .bug import Bug
from .claim_bugs import CLAIM_BUGS
from .product_bugs import PRODUCT_BUGS
from .runtime_bugs import RUNTIME_BUGS
from .session_bugs import SESSION_BUGS
from .store_bugs import STORE_BUGS

BUGS = (
    *STORE_BUGS,
    *PRODUCT_BUGS,
    *CLAIM_BUGS,
    *ARTIFACT_BUGS,
    *ASKING_BUGS,
    *RUNTIME_BUGS,
    *SESSION_BUGS,
)
PACKAGE = Path(__file__).parent.parent.parent / "trio_workflow"
RECORD = Path(__file__).with_name("seeds.json")
WITHIN = 2000  # seeds in which each must be found

_PROGRAM = """
import json, sys
from trio_workflow.testing.simulation.play import play
from trio_workflow.testing.simulation.acting.script import OwnScript
from trio_workflow.testing.simulation.world import draw_world
for seed in json.loads(sys.argv[1]):
    report = play(draw_world(seed), OwnScript)
    if report.broken:
        print(json.dumps([seed, report.broken[0].check]))
        break
"""


@attrs.frozen
class Found:
    """In which seed a bug was found, and the check that fired."""

    seed: int
    check: str


@contextlib.contextmanager
def planted(bug: Bug) -> Generator[Path]:
    """A folder from which the package, with the bug, can be imported."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder) / "trio_workflow"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / bug.file
        file.write_text(bug.applied(file.read_text(encoding="utf-8")), encoding="utf-8")
        yield Path(folder)


def look_for(bug: Bug, seeds: Iterable[int]) -> Found | None:
    """Play these seeds with the bug until one breaks something."""
    with planted(bug) as folder:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM, json.dumps(list(seeds))],
            env=os.environ | {"PYTHONPATH": str(folder)},
            cwd=folder,
            capture_output=True,
            text=True,
        )
    if not ran.stdout and ran.returncode:
        raise RuntimeError(f'with the bug "{bug.name}" the simulation itself broke:\n{ran.stderr}')
    return Found(*json.loads(ran.stdout)) if ran.stdout else None


def recorded() -> dict[str, Found]:
    """What the last search found, by the bug's name."""
    return {name: Found(*found) for name, found in json.loads(RECORD.read_text()).items()}


def record(found: dict[str, Found]) -> None:
    """Keep it, for replays."""
    rows = {name: [one.seed, one.check] for name, one in found.items()}
    RECORD.write_text(json.dumps(rows, indent=2) + "\n")
