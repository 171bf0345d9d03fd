"""What the workers run, and, as plain functions of a run's input, what must come of it.

A run: leaves of which some emit a child, some fail once or twice first, some keep artifacts; steps under a
rate limit; long ones that must be renewed; one that trio cannot cancel; one that fails for good, with a
dependent that must be canceled; a join over all of it that emits a proof of its sum.
"""

import hashlib
import random

import attrs

from trio_workflow import QueueConfig, RateLimit, RetryPolicy, RunBuilder

PACKAGE, BULK = "chaos", "bulk"
"""The runs that are audited; and those that only make the database larger until they are deleted."""

RATE, BURST = 20.0, 5
QUEUES = {
    "wide": QueueConfig(max_workers=12),
    "narrow": QueueConfig(max_workers=2),
    "rated": QueueConfig(max_workers=4, rate_limit=RateLimit(RATE, BURST)),
    "joins": QueueConfig(max_workers=3),
}
PATIENT = RetryPolicy(max_attempts=10_000, initial_backoff=0.05, max_backoff=0.5, jitter=0.2)
RECORDS = "leaves"


@attrs.frozen
class Order:
    """The input of a run."""

    number: int
    leaves: int = 12
    pace: float = 1.0  # scales how long its steps take


@attrs.frozen
class Expected:
    """What a run must have come to: step id -> status, step id -> result, and so on."""

    statuses: dict[str, str]
    results: dict[str, int]
    records: dict[str, int]  # of the collection RECORDS
    inline: dict[str, str]  # step id -> SHA-256 of its inline artifact
    external: dict[str, str]


def digits(*words: object) -> int:
    """A number below a million that these words alone decide."""
    return int(hashlib.sha256(repr(words).encode()).hexdigest(), 16) % 1_000_000


def body(order: int, leaf: int, kind: str) -> bytes:
    size = 100 + digits(order, leaf, kind, "size") % (2_000 if kind == "inline" else 12_000)
    return random.Random(f"{order} {leaf} {kind}").randbytes(size)


def emits(leaf: int) -> bool:
    return leaf % 5 == 0


def keeps_inline(leaf: int) -> bool:
    return leaf % 3 == 1


def keeps_external(leaf: int) -> bool:
    return leaf % 4 == 2


def failures(leaf: int) -> int:
    """How many of its attempts fail before one succeeds, at least."""
    return (0, 0, 1, 0, 2)[leaf % 5]


def summands(order: Order) -> dict[str, int]:
    """What the join adds up."""
    leaves = {f"leaf-{leaf}": digits(order.number, leaf) for leaf in range(order.leaves)}
    rated = {f"rated-{part}": digits(order.number, "rated", part) for part in range(3)}
    others = {name: digits(order.number, name) for name in ("long", "deaf")}
    return leaves | rated | others


def expected(order: Order) -> Expected:
    sums = summands(order)
    leaves = range(order.leaves)
    total = sum(sums.values())
    children = {f"leaf-{n}:child": digits(order.number, "child", n) for n in leaves if emits(n)}
    results = sums | children | {"join": total, "proof": total + 1}
    statuses = dict.fromkeys(results, "succeeded") | {"doomed": "failed", "never": "canceled"}
    return Expected(
        statuses=statuses,
        results=results,
        records={f"leaf-{n}": digits(order.number, n) for n in leaves},
        inline={
            f"leaf-{n}": hashlib.sha256(body(order.number, n, "inline")).hexdigest()
            for n in leaves
            if keeps_inline(n)
        },
        external={
            f"leaf-{n}": hashlib.sha256(body(order.number, n, "external")).hexdigest()
            for n in leaves
            if keeps_external(n)
        },
    )


def graph(run: RunBuilder, order: Order) -> None:
    leaves = [
        run.step(f"leaf-{n}", n, kind="leaf", queue="wide", retry=PATIENT, priority=n % 3)
        for n in range(order.leaves)
    ]
    rated = [
        run.step(f"rated-{n}", n, kind="rated", queue="rated", retry=PATIENT, depends_on=[leaves[n]])
        for n in range(3)
    ]
    long = run.step("long", kind="long", queue="wide", retry=PATIENT)
    deaf = run.step("deaf", kind="deaf", queue="wide", retry=PATIENT, delay=0.1)
    doomed = run.step("doomed", kind="doomed", queue="narrow", allow_failure=True)
    run.step("never", kind="doomed", queue="narrow", depends_on=[doomed])
    everything = [*leaves, *rated, long, deaf]
    run.step("join", kind="join", queue="joins", retry=PATIENT, depends_on=everything)


def bulky_graph(run: RunBuilder, input: str) -> None:
    """Nobody has an executor for its step."""
    run.step("never", kind="bulk/never")
