"""Runs, steps and results as a user or an executor sees them, against what is expected."""

from collections import Counter
from collections.abc import Iterator, Mapping

from trio_workflow.model.plan import Dependency
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.records import QueueStatus, Step, StepResult, WorkflowRun
from trio_workflow.model.times import micros, to_datetime_or_none
from trio_workflow.testing.simulation.expected.runs import READY, RUNNING, ExpectedRun, ExpectedStep


def unlike_run(seen: WorkflowRun, run: ExpectedRun, *, is_old: bool = False) -> Iterator[str]:
    """is_old: the run may have gone on since it was read."""
    spec = run.spec
    wanted: dict[str, object] = {
        "id": spec.id,
        "package": spec.package,
        "name": spec.name,
        "input": spec.input,
        "metadata": dict(spec.metadata),
        "created_at": to_datetime_or_none(run.created_at),
        "started_at": to_datetime_or_none(run.started_at),
    }
    if not is_old:
        wanted |= {"status": run.status, "finished_at": to_datetime_or_none(run.finished_at)}
        counted = {status: count for status, count in seen.counts.items() if count}
        expected = Counter(step.status for step in run.steps.values())
        if counted != expected:
            yield f"run {run.id} counts {counted}, expected {dict(expected)}"
    yield from _unlike(f"run {run.id}", seen, wanted)


def unlike_step(seen: Step, step: ExpectedStep) -> Iterator[str]:
    """Of a lease, and of progress, only what no renewal changes."""
    spec = step.spec
    wanted: dict[str, object] = {
        "id": spec.id,
        "run_id": step.run.id,
        "parent_id": spec.parent_id,
        "package": spec.package,
        "kind": spec.kind,
        "queue": spec.queue,
        "dedup_key": spec.dedup_key,
        "input": spec.input,
        "depends_on": tuple(Dependency(step_id, required) for step_id, required in step.needs.items()),
        "retry": spec.retry,
        "metadata": dict(spec.metadata),
        "priority": spec.priority,
        "timeout": None if spec.timeout is None else micros(spec.timeout) / 1_000_000,
        "allow_failure": spec.allow_failure,
        "status": step.status,
        "attempt": step.attempt,
        "created_at": to_datetime_or_none(step.created_at),
        "started_at": to_datetime_or_none(step.started_at),
        "finished_at": to_datetime_or_none(step.finished_at),
    }
    yield from _unlike(f"step {step.name}", seen, wanted)
    error = None if seen.error is None else seen.error.code
    if error != step.error:
        yield f"step {step.name} shows the error {error!r}, expected {step.error!r}"
    token = None if seen.lease is None else seen.lease.token
    if token != step.token:
        yield f"step {step.name} shows a lease of {token}, expected {step.token}"
    if step.status is READY and seen.ready_at != to_datetime_or_none(step.ready_at):
        yield f"step {step.name} shows that it is ready at {seen.ready_at}, expected {step.ready_at}"


def unlike_result(seen: StepResult, step: ExpectedStep) -> Iterator[str]:
    product = step.product
    wanted: dict[str, object] = {
        "step_id": step.spec.id,
        "run_id": step.run.id,
        "data": step.data,
        "emitted_ids": tuple(step.emitted),
        "completed_at": to_datetime_or_none(step.finished_at),
    }
    yield from _unlike(f"the result of {step.name}", seen, wanted)
    records = [(r.step_id, r.collection, r.key, r.data) for r in seen.records]
    if records != [(step.spec.id, r.collection, r.key, r.data) for r in (product.records if product else ())]:
        yield f"the result of {step.name} has the records {records}"
    if [a.name for a in seen.artifacts] != [write.name for write in step.artifacts]:
        yield f"the result of {step.name} has the artifacts {[a.name for a in seen.artifacts]}"
    if [attempt.outcome for attempt in seen.attempts] != step.ends:
        yield f"the result of {step.name} has the attempts {[a.outcome for a in seen.attempts]}"


def unlike_queues(
    seen: list[QueueStatus],
    steps: list[ExpectedStep],
    queues: Mapping[str, QueueConfig],
    default: QueueConfig,
) -> Iterator[str]:
    by_name = {status.queue: status for status in seen}
    ready = Counter(step.spec.queue for step in steps if step.status is READY)
    running = Counter(step.spec.queue for step in steps if step.status is RUNNING)
    if by_name.keys() != queues.keys() | ready.keys() | running.keys():
        yield f"the queues {sorted(by_name)} are told of"
    for queue, status in by_name.items():
        oldest = min((s.ready_at for s in steps if s.status is READY and s.spec.queue == queue), default=None)
        config = queues.get(queue, default)
        wanted = {
            "ready": ready[queue],
            "running": running[queue],
            "max_workers": config.max_workers,
            "rate_limit": config.rate_limit,
            "oldest_ready_at": to_datetime_or_none(oldest),
        }
        yield from _unlike(f"queue {queue}", status, wanted)


def _unlike(subject: str, seen: object, wanted: Mapping[str, object]) -> Iterator[str]:
    for name, expected in wanted.items():
        found = getattr(seen, name)
        if found != expected:
            yield f"{subject} shows {name} {found!r}, expected {expected!r}"
