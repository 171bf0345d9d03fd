"""What a claim may lease, and must: within every limit, the highest priority first, and no slot left idle."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from trio_workflow.model.changes import ClaimAnswer, ClaimRequest
from trio_workflow.model.policy import QueueConfig
from trio_workflow.testing.simulation.expected.runs import (
    READY,
    RUNNING,
    ExpectedRun,
    ExpectedStep,
    all_steps,
)
from trio_workflow.testing.simulation.expected.shares import Dealt


def broken_limits(
    runs: Iterable[ExpectedRun],
    queues: Mapping[str, QueueConfig],
    answer: ClaimAnswer,
    request: ClaimRequest,
    starved: Callable[[Dealt], Iterator[tuple[str, str]]],
) -> Iterator[tuple[str, str]]:
    """What the claim broke, each with what it is about. Told before the claims are entered.

    starved: told what was dealt to the queues, answers what was unfair of it.
    """
    steps = all_steps(runs)
    due = _due(steps, request)
    running = Counter(step.spec.queue for step in steps if step.status is RUNNING)
    claimed = Counter(claim.queue for claim in answer.claims)
    most = 0
    sure: dict[str, int] = {}
    for queue, waiting in due.items():
        config = queues.get(queue, request.default_queue)
        slots = max(0, min(config.max_workers - running[queue], request.free.get(queue, config.max_workers)))
        could = min(slots, request.limit, len(waiting))
        most += could
        sure[queue] = could if config.rate_limit is None else min(could, claimed[queue])
        if claimed[queue] > could:
            yield "a claim passed the limit of a queue", f"{queue}: {claimed[queue]} leased, {could} allowed"
    for queue in claimed.keys() - due.keys():
        yield "a claim took what its process does not serve", queue
    rated = [queue for queue in due if queues.get(queue, request.default_queue).rate_limit is not None]
    yield from starved(Dealt(sure, claimed, is_sure=not rated))
    least, total, limit = sum(sure.values()), claimed.total(), max(0, request.limit)
    if not min(limit, least) <= total <= min(limit, most):
        yield (
            "a claim left slots idle, or took too many",
            f"{total} of {least} to {most}, limit {request.limit}",
        )
    yield from _out_of_order(due, answer)


def _due(steps: Iterable[ExpectedStep], request: ClaimRequest) -> dict[str, list[ExpectedStep]]:
    due: dict[str, list[ExpectedStep]] = {}
    for step in steps:
        spec = step.spec
        is_served = spec.kind in request.kinds and (request.queues is None or spec.queue in request.queues)
        if step.status is READY and step.is_due and is_served:
            due.setdefault(spec.queue, []).append(step)
    return due


def _out_of_order(due: Mapping[str, list[ExpectedStep]], answer: ClaimAnswer) -> Iterator[tuple[str, str]]:
    claimed = {(claim.run_id, claim.step_id) for claim in answer.claims}
    for queue, waiting in due.items():
        taken = [s.spec.priority for s in waiting if (s.run.id, s.spec.id) in claimed]
        left = [s.spec.priority for s in waiting if (s.run.id, s.spec.id) not in claimed]
        if taken and left and min(taken) < max(left):
            yield "a lower priority went first", f"{queue}: {taken} before {left}"
