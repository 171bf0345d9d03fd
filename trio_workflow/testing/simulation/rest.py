"""Moments at which nothing moves but time: then no work may lie about that somebody could do."""

from collections import Counter
from collections.abc import Mapping

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
        idle = {step.name for step in self._could_run()}
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

    def _could_run(self) -> list[ExpectedStep]:
        """Due steps that every process could start now."""
        stage = self._stage
        steps = all_steps(stage.oracle.runs.values())
        busy = Counter(step.spec.queue for step in steps if step.status is RUNNING)
        at_work = Counter(execution.process.name for execution in stage.watch.executions.values())
        workers = [process for process in self._processes.values() if not process.only_operates]
        if any(at_work[process.name] >= stage.world.max_workers for process in workers):
            return []
        return [
            step
            for step in steps
            if step.status is READY
            and step.ready_at <= stage.now()
            and stage.script.has_executor(step.spec.kind)
            and all(worker.serves is None or step.spec.queue in worker.serves for worker in workers)
            and busy[step.spec.queue] < stage.limit_of(step.spec.queue)
            and stage.rates.may_start(step.spec.queue)
        ]
