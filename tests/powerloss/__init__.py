"""Loss of power: a workload is recorded, and the engine is opened on states that the disk may be left in.

record.py runs program.py under strace. strace_output.py and recording.py turn the trace into events.
disk.py holds the part of them that is durable at a moment. contents.py and names.py say which contents
and which directory entries a loss of power may leave. audit.py opens one such state, and compares it with
what had been acknowledged to the program (acknowledged.py, timeline.py). campaign.py does so for many states.
plants.py has fsync bugs that must be found.
"""

import sys
from pathlib import Path

# `python -m tests.powerloss` finds the package `planted`, which is beside this one, as pytest does.
sys.path.append(str(Path(__file__).resolve().parent.parent))
