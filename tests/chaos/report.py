"""The table at the end of a chaos run."""

from collections import Counter
from collections.abc import Iterator

from .audit import Finding, has_lost_the_step, overlaps
from .audit_processes import without_descriptors
from .facts import Facts
from .recovery import delays, quantile

SHOWN = 30
FULL = "the disk is full"


def table(facts: Facts, findings: list[Finding], seed: int) -> str:
    lines = [f"{name:<44} {value}" for name, value in _figures(facts)]
    lines.append(f"{'violations':<44} {len(findings)}")
    lines += [f"  VIOLATION {finding}" for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"  and {len(findings) - SHOWN} more")
    return "\n".join([f"chaos, seed {seed}", *lines])


def _figures(facts: Facts) -> Iterator[tuple[str, object]]:
    done = Counter(entry["what"] for entry in facts.faults)
    launched = Counter(entry["role"] for entry in facts.noted("launch"))
    told = sum(text.count(FULL) for text in facts.errors.values())
    yield "workers launched", launched["worker"]
    yield "kills (SIGKILL)", done["kill"]
    yield "pauses (SIGSTOP, SIGCONT)", done["pause"]
    yield "terms (SIGTERM: drain; SIGHUP: cancel)", f"{done['drain']} + {done['stop']}"
    yield "hogs of the write lock", done["hog"]
    yield "disk-fulls (warnings of a full disk)", f"{done['full']} ({told})"
    yield "restarts of all workers (SIGINT)", done["restart"]
    backups = Counter(entry["what"] for entry in facts.backups)
    yield "backups that were inspected", f"{backups['backup']}, could not be made: {backups['refused']}"
    yield "second runtimes in a worker's process", done["second"]
    yield "readers that stayed", sum(entry["what"] == "read" for entry in facts.reads)
    yield "removals (runs that may be missing)", f"{done['remove']} ({len(facts.removed)})"
    ended = without_descriptors(facts)
    yield "losses of descriptors (workers that ended of them)", f"{done['descriptors']} ({len(ended)})"
    yield "runs", _counts(run.status for run in facts.runs.values())
    yield "steps", _counts(step.status for step in facts.steps.values())
    attempts = [attempt for attempts in facts.attempts.values() for attempt in attempts]
    yield "attempts", _counts(str(attempt.outcome) for attempt in attempts)
    found = list(overlaps(facts))
    explained = sum(has_lost_the_step(attempt) for _, _, attempt in found)
    yield "overlaps of executions of one step", f"{len(found)}, explained by a lost lease: {explained}"
    for what in ("kill", "pause"):
        lost = delays(facts, what)
        yield f"leases lost by a {what}: taken back after", _quantiles(lost.taken_back)
        yield f"leases lost by a {what}: claimed again after", _quantiles(lost.claimed_again)


def _counts(words: Iterator[str]) -> str:
    counts = Counter(words)
    parts = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return f"{counts.total()}: {parts}"


def _quantiles(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p99 = quantile(seconds, 0.5), quantile(seconds, 0.99)
    return f"{len(seconds)}: p50 {p50:.2f} s, p99 {p99:.2f} s, worst {max(seconds):.2f} s"
