"""`python -m tests.planted` searches a seed for every planted bug and records it: minutes, on all cores."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from .bug import Bug
from .harness import BUGS, RECORD, WITHIN, Found, look_for, record, recorded


def main() -> int:
    """Search those whose names hold one of the words given, or all."""
    words = sys.argv[1:]
    bugs = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = dict(zip(bugs, pool.map(search, bugs), strict=True))
    found = {bug.name: one for bug, one in answers.items() if one is not None}
    known = recorded() if words and RECORD.exists() else {}
    record({bug.name: one for bug in BUGS if (one := found.get(bug.name, known.get(bug.name))) is not None})
    missed = [bug.name for bug, one in answers.items() if one is None]
    print(f"{len(found)} of {len(bugs)} found within {WITHIN} seeds; not found: {missed or 'none'}")
    return 1 if missed else 0


def search(bug: Bug) -> Found | None:
    try:
        found = look_for(bug, range(WITHIN))
    except (RuntimeError, ValueError) as error:  # it does not fit any more, or nothing can run with it
        print(error, flush=True)
        return None
    told = "not found" if found is None else f"seed {found.seed}: {found.check}"
    print(f"{bug.name}: {told}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
