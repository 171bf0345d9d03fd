"""Moments at which nothing moves but time: then no work may lie about that somebody could do."""

from collections import Counter
from collections.abc import Collection, Mapping

import trio
from trio.testing import wait_all_tasks_blocked

from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected import READY, RUNNING, ExpectedStep, all_steps
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import DISTURBING


async def watch_rests(stage: Stage, processes: Mapping[int, Actor]) -> None:
    """Look on now and then. Only worlds whose processes and store are sound promise anything."""
    watch, roll = _Rests(stage, processes), stage.world.random("rests")
    while True:
        await trio.sleep(0.1 + roll.random() * 0.2)
        if stage.world.faults & DISTURBING or stage.faults.is_over:
            await trio.sleep_forever()
        await wait_all_tasks_blocked()
        watch.look()


class _Rests:
    def __init__(self, stage: Stage, processes: Mapping[int, Actor]) -> None:
        self._stage, self._processes = stage, processes
        # What one process did it knows at once; what another did, after a poll.
        self._tolerance = 0.0 if stage.world.processes == 1 else stage.world.poll + 0.5
        self._since: dict[str, float] = {}

    def look(self) -> None:
        processes = list(self._processes.values())
        workers = [process for process in processes if not process.only_operates]
        is_complete = len(processes) == self._stage.world.processes
        if not is_complete or not workers or not all(process.is_at_work for process in workers):
            self._since.clear()
            return
        now = trio.current_time()
        workers = [process for process in processes if not process.only_operates]
        idle = {
            step.name
            for step in could_run(self._stage, workers)
            if self._stage.rates.may_start(step.spec.queue)
        }
        self._since = {name: self._since.get(name, now) for name in idle}
        for name, since in self._since.items():
            if now - since >= self._tolerance:
                self._stage.history.tell(
                    "work waits although a worker is free", f"{name} for {now - since:.3f} s"
                )
        if len(processes) == 1:
            self._look_at(processes[0])

    def _look_at(self, process: Actor) -> None:
        if process.unheard:
            self._stage.history.tell("an event was not told", f"{process.unheard[0]}")
        for run_id in process.waits_for:
            run = self._stage.oracle.runs.get(run_id)
            if run is None or run.status.is_final:
                self._stage.history.tell("a wait goes on although its run has ended", run_id)


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


def could_run(stage: Stage, workers: Collection[Actor]) -> list[ExpectedStep]:
    """Due steps that each of these could start now, if their rates let them."""
    steps = all_steps(stage.oracle.runs.values())
    busy = Counter(step.spec.queue for step in steps if step.status is RUNNING)
    at_work = Counter(execution.process.name for execution in stage.watch.executions.values())
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
