"""What the services run, and, as plain functions of a run's input, what must come of it.

A "sum" run: leaves, some of them in threads, some with artifacts or an emitted child, some that fail once
first; a step under a rate limit; a step that writes a projection; a step that fails for good with an optional
dependent; a join over the rest that emits a proof of its sum. A "trouble" run also has a step whose first
attempt fails for good, so that the run needs an operator's retry. The steps of a "parked" and of a "bulk" run
are due in a day: such a run never ends by itself, so that nobody may ever prune it.
"""

import hashlib
import random

import attrs
from chaos.workload import PATIENT, Expected, body, digits

from trio_workflow import QueueConfig, RateLimit, RetryPolicy, RunBuilder, optional

PACKAGE = "load"
LEAVES_COLLECTION = "leaves"
PROJECTIONS = tuple(f"tallies-{number}" for number in range(8))
TALLIES = "CREATE TABLE IF NOT EXISTS tallies (key TEXT PRIMARY KEY, value INTEGER NOT NULL)"
"""The table of every projection; the parent makes it."""

ENDLESS = ("parked", "bulk")
"""Shapes of runs that end only by being canceled."""

BULK = 1000
"""Steps of a bulk run: the database gets larger by megabytes with it, and smaller when it is deleted."""

DAY = 86400.0
MAX_INLINE = 60_000
"""Bytes of an inline artifact."""

ELASTIC = "elastic"
"""The queue whose limit a second runtime changes now and then."""

QUEUES = {
    "wide": QueueConfig(max_workers=96),
    "narrow": QueueConfig(max_workers=16),
    "rated": QueueConfig(max_workers=32, rate_limit=RateLimit(400.0, 40)),
    "joins": QueueConfig(max_workers=32),
    ELASTIC: QueueConfig(max_workers=24),
}
ONCE = RetryPolicy(max_attempts=1)


@attrs.frozen
class Order:
    """The input of a run."""

    number: int
    leaves: int = 4
    shape: str = "sum"


def leaf_names(order: Order) -> list[str]:
    return [f"leaf-{leaf}" for leaf in range(order.leaves)]


def projection_of(order: Order) -> str:
    return PROJECTIONS[order.number % len(PROJECTIONS)]


def in_thread(leaf: int) -> bool:
    return leaf % 3 == 2


def emits(leaf: int) -> bool:
    return leaf % 4 == 0


def keeps_inline(leaf: int) -> bool:
    return leaf % 3 == 1


def keeps_external(leaf: int) -> bool:
    return leaf % 4 == 2


def fails_first(order: Order, leaf: int) -> bool:
    return digits(order.number, leaf, "fails") % 5 == 0


def summands(order: Order) -> dict[str, int]:
    """What the join adds up: step id -> result."""
    leaves = {f"leaf-{leaf}": digits(order.number, leaf) for leaf in range(order.leaves)}
    others = ["rated", "tally", *(["trouble"] if order.shape == "trouble" else [])]
    return leaves | {name: digits(order.number, name) for name in others}


def total(order: Order) -> int:
    return sum(summands(order).values())


def inline_body(order: Order, leaf: int) -> bytes:
    """Large, so that the database grows and shrinks all the time, and its log is copied often."""
    size = 100 + digits(order.number, leaf, "size") % MAX_INLINE
    return random.Random(f"{order.number} {leaf}").randbytes(size)


def external_body(order: Order, leaf: int) -> bytes:
    return body(order.number, leaf, "external")


def expected(order: Order) -> Expected:
    """What a run that succeeded has; another run has a part of it and nothing else."""
    leaves = range(order.leaves)
    children = {f"leaf-{n}:child": digits(order.number, "child", n) for n in leaves if emits(n)}
    after = {"after": digits(order.number, "after")}
    results = summands(order) | children | after | {"join": total(order), "proof": total(order) + 1}
    return Expected(
        statuses=dict.fromkeys(results, "succeeded") | {"doomed": "failed"},
        results=results,
        records={f"leaf-{n}": digits(order.number, n) for n in leaves},
        inline={f"leaf-{n}": _sha256(inline_body(order, n)) for n in leaves if keeps_inline(n)},
        external={f"leaf-{n}": _sha256(external_body(order, n)) for n in leaves if keeps_external(n)},
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def graph(run: RunBuilder, order: Order) -> None:
    run.metadata("shape", order.shape)
    if order.shape in ENDLESS:
        for n in range(BULK if order.shape == "bulk" else 1):
            run.step(f"parked-{n}", "x" * 10_000, kind="parked", queue="narrow", delay=DAY)
        return
    leaves = [
        run.step(
            f"leaf-{n}",
            n,
            kind="thread" if in_thread(n) else "leaf",
            queue=ELASTIC if n % 2 else "wide",
            retry=PATIENT,
            priority=n % 3,
            dedup_key=f"leaf {n}",
        )
        for n in range(order.leaves)
    ]
    rated = run.step("rated", kind="rated", queue="rated", retry=PATIENT)
    tally = run.step("tally", kind="tally", queue="narrow", retry=PATIENT, depends_on=leaves[:1])
    summed = [*leaves, rated, tally]
    if order.shape == "trouble":
        summed.append(run.step("trouble", kind="trouble", queue="wide", retry=ONCE))
    doomed = run.step("doomed", kind="doomed", queue="wide", allow_failure=True)
    run.step("after", kind="after", queue="wide", retry=PATIENT, depends_on=optional(doomed))
    run.step("join", kind="join", queue="joins", retry=PATIENT, depends_on=summed)
