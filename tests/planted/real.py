"""python -m tests.planted.real [WORDS]: plant the bugs of real_bugs.py in copies of the package.

The test of each is run on its copy and must be red. Without words all are planted, else those whose names
hold one of the words. Prints a line for each; exits with 1 if a test stays green.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from .harness import PACKAGE, planted
from .real_bug import RealBug
from .real_bugs import REAL_BUGS

TESTS = PACKAGE.parent / "tests"
SECONDS = 120.0
"""Seconds after which a test that hangs counts as red."""

_RED = 1  # exit code of pytest: some test failed


def is_found(real: RealBug) -> bool:
    """Whether the test of the bug is red with it. Raises RuntimeError if the test could not be run."""
    with planted(real.bug) as folder:
        # The working folder comes first on the path of `python -m`: there the package has the bug.
        command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command += ["-c", str(PACKAGE.parent / "pyproject.toml"), "--rootdir", str(TESTS.parent)]
        try:
            ran = subprocess.run(
                [*command, str(TESTS / real.test)],
                env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return True
    if ran.returncode < 0:  # a signal: two threads in one connection may end the process
        return True
    if ran.returncode not in (0, _RED) or "error during collection" in ran.stdout:
        raise RuntimeError(f'with the bug "{real.bug.name}" {real.test} cannot be run:\n{ran.stdout}')
    return ran.returncode == _RED


def search(real: RealBug) -> bool:
    try:
        found = is_found(real)
    except (RuntimeError, ValueError) as error:
        print(error, flush=True)
        return False
    print(f"{real.bug.name}: {real.test} is {'red' if found else 'GREEN'}", flush=True)
    return found


def main() -> int:
    words = sys.argv[1:]
    bugs = [real for real in REAL_BUGS if not words or any(word in real.bug.name for word in words)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(search, bugs))
    print(f"{sum(found)} of {len(bugs)} are found")
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
