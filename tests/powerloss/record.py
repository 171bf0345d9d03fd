"""Running the workload under strace."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .events import Recording
from .recording import CALLS, REFUSED, Recorder
from .setting import Setting
from .strace_output import StraceError, read_calls

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LONGEST_TEXT = 1 << 24  # bytes of one write that strace prints


def has_strace() -> bool:
    return shutil.which("strace") is not None


def record(setting: Setting, folder: Path, package: Path = REPOSITORY) -> Recording:
    """Run the workload of that setting in the folder, and read its trace, which stays there.

    package: the folder from which trio_workflow is imported. Raises StraceError if the workload fails.
    """
    root, marks, trace = folder.resolve() / "root", folder.resolve() / "marks", folder / "trace"
    root.mkdir()
    command = [
        *("strace", "-f", "-y", "-xx", "-s", str(LONGEST_TEXT), "-o", str(trace), "-e", "signal=none"),
        *("-e", f"trace={','.join((*CALLS, *REFUSED))}", "--seccomp-bpf"),
        *(sys.executable, "-m", "tests.powerloss.program", str(root), str(marks), str(setting.seed), "a"),
    ]
    paths = os.pathsep.join([str(package), str(REPOSITORY)])
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise StraceError(f"the workload of {setting} failed:\n{ran.stderr}")
    with trace.open(encoding="ascii") as lines:
        return Recorder(str(root), str(marks)).recording(read_calls(lines))
