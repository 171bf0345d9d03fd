"""Moments at which nothing moves but time: then no work may lie about that somebody could do."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

import trio
from trio.testing import wait_all_tasks_blocked

from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.runs import READY, RUNNING, ExpectedStep, all_steps
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import DISTURBING, LATEST_READ, QUIET, Fault

WAITS = "a wait goes on although its run has ended"

Late = tuple[str, str]
"""A check, and what it is about: broken if it lasts."""


async def watch_rests(stage: Stage, processes: Mapping[int, Actor]) -> None:
    """Look on now and then. Only worlds whose processes and store are sound promise anything."""
    watch, roll = _Rests(stage, processes), stage.world.random("rests")
    while True:
        await trio.sleep(0.1 + roll.random() * 0.2)
        if stage.world.faults & DISTURBING - QUIET or stage.faults.is_over:
            await trio.sleep_forever()
        await wait_all_tasks_blocked()
        watch.look()


class _Rests:
    def __init__(self, stage: Stage, processes: Mapping[int, Actor]) -> None:
        self._stage, self._processes = stage, processes
        # What one process did it knows at once; what another did, after a poll.
        self._tolerance = 0.0 if stage.world.processes == 1 else stage.world.poll + 0.5
        if stage.world.has(Fault.IO_ERROR):
            self._tolerance += 3.0
        self._since: dict[tuple[str, str], float] = {}

    def look(self) -> None:
        processes = list(self._processes.values())
        workers = [process for process in processes if not process.only_operates]
        is_at_work = all(process.is_at_work and not process.is_dead for process in workers)
        if not workers or not is_at_work:
            self._since.clear()
            return
        now = trio.current_time()
        found = [
            *self._idle_steps(workers),
            *self._late_waits(processes),
            *self._late_cancels(),
            *_untold(processes),
        ]
        self._since = {late: self._since.get(late, now) for late in found}
        for (check, about), since in self._since.items():
            if now - since >= self._tolerance + (2 * LATEST_READ if check == WAITS else 0.0):
                self._stage.history.tell(check, f"{about} for {now - since:.3f} s")

    def _idle_steps(self, workers: Collection[Actor]) -> Iterator[Late]:
        for step in could_run(self._stage, workers):
            if self._stage.rates.may_start(step.spec.queue):
                yield "work waits although a worker is free", f"{step.name}, attempt {step.attempt + 1},"

    def _late_waits(self, processes: Iterable[Actor]) -> Iterator[Late]:
        for process in processes:
            for run_id in process.waits_for:
                run = self._stage.oracle.runs.get(run_id)
                if run is None or run.status.is_final:
                    yield WAITS, f"{process.name}: {run_id}"

    def _late_cancels(self) -> Iterator[Late]:
        watch, enders = self._stage.watch, self._stage.oracle.enders
        for execution in watch.executions.values():
            if execution.token in enders and watch.is_watched(execution):
                yield "an executor goes on although its lease is gone", execution.step


class HeldUp:
    """The queues of a worker that is alone and sound: none may stand still longer than its rate wants.

    What clocks were wrong before is no excuse: the state of a rate limit is set right within a lease.
    """

    def __init__(self, stage: Stage, worker: Actor) -> None:
        self._stage, self._worker = stage, worker
        self._since: dict[str, float] = {}
        self._started: Counter[str] = Counter()

    def look(self) -> None:
        now, started = trio.current_time(), self._stage.watch.started
        waiting = {step.spec.queue for step in could_run(self._stage, [self._worker])}
        same = {queue for queue in waiting if started[queue] == self._started[queue]}
        self._since = {queue: self._since.get(queue, now) if queue in same else now for queue in waiting}
        self._started = Counter(started)
        for queue, since in self._since.items():
            if now - since > self._stage.world.lease + self._stage.rates.interval(queue) + 2.0:
                self._stage.history.tell("a queue stands still", f"{queue} for {now - since:.3f} s")


async def look_at_freed(stage: Stage, process: Actor, started: Counter[str]) -> None:
    """It has just freed slots of queues: at once it claims what it can, whoever has held them.

    started: executions, by queue, before that. Another process may be the first to claim.
    """
    if stage.world.faults & (DISTURBING - QUIET | {Fault.IO_ERROR}):
        return
    await wait_all_tasks_blocked()
    if process.is_at_work and not process.is_dead:
        for step in could_run(stage, [process]):
            queue = step.spec.queue
            if stage.rates.may_start(queue) and stage.watch.started[queue] == started[queue]:
                stage.history.tell("a slot that was freed is not used", f"{step.name} for {process.name}")


def could_run(stage: Stage, workers: Collection[Actor]) -> list[ExpectedStep]:
    """Due steps that each of these could start now, if their rates let them."""
    steps = all_steps(stage.oracle.runs.values())
    busy = Counter(step.spec.queue for step in steps if step.status is RUNNING)
    names = {worker.name for worker in workers}
    executions = [e for e in stage.watch.executions.values() if e.process.name in names]
    busy.update(e.queue for e in executions if e.token in stage.oracle.enders)  # they keep their slots
    at_work = Counter(execution.process.name for execution in executions)
    if any(at_work[worker.name] >= worker.config.max_workers for worker in workers):
        return []
    return [
        step
        for step in steps
        if step.status is READY
        and step.ready_at <= stage.now()
        and stage.script.has_executor(step.spec.kind)
        and all(worker.serves is None or step.spec.queue in worker.serves for worker in workers)
        and busy[step.spec.queue] < stage.limit_of(step.spec.queue)
    ]


def _untold(processes: Iterable[Actor]) -> Iterator[Late]:
    for process in processes:
        if process.unheard:
            yield "an event was not told", f"{process.name}: {process.unheard[0]}"
