"""python -m tests.load --seconds N [--clients 64] [--seed S]

Services, readers, backups and cron on one file for that long, then an audit. The last line has the counts
and the seed. The exit code is 1 on any violation, and each is named. What a sound run leaves is removed; of
another run the folder is kept, and its path printed. TMPDIR says where.
"""

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import trio
from chaos.audit import Finding
from chaos.program import Site

from .audit import audit
from .facts import Facts
from .supervisor import LoadOptions, play

SHOWN = 40
ACKNOWLEDGED = ("started", "ended", "canceled", "retried", "deleted", "pruned")


def counts(facts: Facts, findings: list[Finding], options: LoadOptions) -> str:
    done = Counter(entry["what"] for entry in facts.entries)
    faults = Counter(entry["what"] for entry in facts.parent)
    launched = Counter(entry["role"] for entry in facts.of_parent("launch"))
    stored = 0 if facts.stored is None else len(facts.stored.runs)
    parts = [
        *(f"{done[what]} {what}" for what in ACKNOWLEDGED),
        f"{stored} runs stored",
        *(f"{launched[role]} {role}" for role in ("service", "cron", "backup", "reader", "looker")),
        *(f"{faults[what]} {what}" for what in ("restart", "cancel", "kill", "stop")),
        f"{facts.samples} samples of locks" if facts.samples else "LOCKS CANNOT BE SEEN HERE",
        f"{len(findings)} violations",
    ]
    return f"load: seed {options.seed}, {options.seconds:g} s, {options.clients} clients: {', '.join(parts)}"


def run(root: Path, options: LoadOptions) -> bool:
    """Play in that folder and audit; returns whether all was well."""
    facts = trio.run(play, Site(root), options, str(__package__))
    findings = audit(facts)
    for finding in findings[:SHOWN]:
        print(f"VIOLATION {finding}")
    for check, number in Counter(finding.check for finding in findings).items():
        print(f"{number} violations of: {check}")
    if findings:
        print(f"the folder is kept: {root}")
    print(counts(facts, findings, options), flush=True)
    return not findings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.partition("\n")[2])
    parser.add_argument("--seconds", type=float, required=True, help="how long clients go on")
    parser.add_argument("--clients", type=int, default=64, help="of the main process, up to 200")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    arguments = parser.parse_args()
    options = LoadOptions(seconds=arguments.seconds, clients=arguments.clients, seed=arguments.seed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it else
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    print(f"seed {options.seed}", flush=True)
    root = Path(tempfile.mkdtemp(prefix="trio-workflow-load-"))
    is_well = False
    try:
        is_well = run(root, options)
    except* KeyboardInterrupt:
        print(f"interrupted, seed {options.seed}; the folder is kept: {root}")
    if is_well:
        shutil.rmtree(root)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
