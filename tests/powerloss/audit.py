"""Opening a state with a new runtime, and what is wrong with it.

A state is always sound, since only a loss of power made it: whatever refuses to open it is wrong.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import trio
from trio.testing import MockClock

from trio_workflow import Runtime, Step, StepStatus, WorkflowError, WorkflowRun, open_runtime
from trio_workflow.testing import run_until_idle

from .acknowledged import Acknowledged
from .disk import State
from .marks import Marks
from .setting import Setting, Site, settings
from .timeline import Interval, Observation, contradiction, observe
from .work import SMALL, VIEW, artifacts, ends_as, package, results, text

MOST_SHOWN = 5
VIRTUAL_TIMEOUT = 3600.0
"""Seconds of virtual time: an engine that waits for ever on a damaged store is a problem too."""


def write_state(state: State, root: Path) -> None:
    """Make the folders and files of a state. Two names of one file are two names of one file."""
    root.mkdir(parents=True, exist_ok=True)
    for folder in state.folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    written: dict[int, Path] = {}
    for name, inode in state.files.items():
        path = root / name
        if inode in written:
            os.link(written[inode], path)
        else:
            path.write_bytes(state.contents[inode])
            written[inode] = path


def examine(root: Path, setting: Setting, promised: Acknowledged, moment: int) -> list[str]:
    """What is wrong with the state in that folder, as sentences; none if all is well."""
    site = Site(root)
    problems: list[str] = []
    if promised.open.done < moment and not site.database.exists():
        problems.append("the database is gone after the store was opened")
    audit = Audit(site, setting, promised, moment)
    try:
        trio.run(audit.run, clock=MockClock(autojump_threshold=0))
    except* Exception as errors:
        problems += [f"{type(error).__name__}: {error}" for error in _leaves(errors)]
    return (problems + audit.problems)[:MOST_SHOWN]


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


class Audit:
    """One state: problems is what was found so far."""

    def __init__(self, site: Site, setting: Setting, promised: Acknowledged, moment: int) -> None:
        self._site, self._setting = site, setting
        self._promised, self._moment = promised, moment
        self.problems: list[str] = []

    async def run(self) -> None:
        with trio.fail_after(VIRTUAL_TIMEOUT):
            await self._run()

    async def _run(self) -> None:
        config = settings(self._site, self._setting.synchronous, "audit", float("inf"))
        async with open_runtime(config) as rt:
            self.problems += [f"check: {violation}" for violation in await rt.check()]
            self._look_into(self._site.database)
            await self._compare_runs(rt)
            await self._compare_notes(rt)
            self._compare_files()
            if not self.problems:
                await self._go_on(rt)

    async def _go_on(self, rt: Runtime) -> None:
        """The store can be used: a new run ends, and so do those that the loss of power had interrupted."""
        with closing(Marks(self._site.root / "marks")) as marks:
            rt.register_package(package(marks))
            new = await rt.start_run("power", SMALL, run_id=f"{SMALL}-after")
            await run_until_idle(rt)
        self._look_into(self._site.database)
        open_runs = [run.id async for run in _all_runs(rt) if run.finished_at is None]
        self.problems += [f"run {run} does not end" for run in open_runs if ends_as(run) == "succeeded"]
        run = await rt.workflow(new.id)
        if run is None or run.status != ends_as(new.id):
            self.problems.append(f"a new run does not succeed: {run}")
        else:
            await self._compare_steps(rt, run)
        self.problems += [f"check, later: {violation}" for violation in await rt.check()]

    def _look_into(self, path: Path) -> None:
        # Not read-only: to such a connection integrity_check says nothing about CHECK constraints.
        with closing(sqlite3.connect(path)) as conn:
            lines = [row[0] for row in conn.execute("PRAGMA integrity_check")]
        self.problems += [f"{path.name}: {line}" for line in lines if line != "ok"]

    async def _compare_runs(self, rt: Runtime) -> None:
        found = {run.id: run async for run in _all_runs(rt)}
        self.problems += [f"run {run} was never started" for run in found.keys() - self._promised.runs.keys()]
        observations: list[Observation] = []
        for run_id, history in self._promised.runs.items():
            run = found.get(run_id)
            if run is None:
                observations += observe(run_id, history, None, has_ended=False)
                continue
            has_ended = run.finished_at is not None
            observations += observe(run_id, history, run.status, has_ended=has_ended)
            if has_ended and run.status != ends_as(run_id):
                self.problems.append(f"run {run_id} is {run.status}, not {ends_as(run_id)}")
            await self._compare_steps(rt, run)
        is_full = self._setting.synchronous == "FULL"
        wrong = contradiction(observations, self._moment, is_full=is_full)
        if wrong is not None:
            self.problems.append(wrong)

    async def _compare_steps(self, rt: Runtime, run: WorkflowRun) -> None:
        for step in await rt.steps(run.id):
            await self._compare_artifacts(rt, step)
            if step.status is StepStatus.SUCCEEDED:
                await self._compare_result(rt, step)

    async def _compare_result(self, rt: Runtime, step: Step) -> None:
        result = await rt.result(step.run_id, step.id)
        found = None if result is None or result.data is None else json.loads(result.data)
        expected = results(step.run_id).get(step.id)
        if found != expected:
            self.problems.append(f"{step.run_id}/{step.id} has {found!r:.40}, not {expected!r:.40}")

    async def _compare_artifacts(self, rt: Runtime, step: Step) -> None:
        """Each artifact row has the bytes that were put, which reading compares with size and SHA-256."""
        result = await rt.result(step.run_id, step.id)
        found = [] if result is None else [artifact.name for artifact in result.artifacts]
        wanted = artifacts(step.run_id) if step.id == "keep" and step.status == StepStatus.SUCCEEDED else {}
        if sorted(found) != sorted(wanted):
            self.problems.append(f"{step.run_id}/{step.id} has artifacts {found}, not {sorted(wanted)}")
        for name in found:
            try:
                async with rt.open_artifact(step.run_id, step.id, name) as reader:
                    content = await reader.read()
            except WorkflowError as error:
                self.problems.append(f"{step.run_id}/{step.id}: {type(error).__name__}: {error}")
                continue
            if content != wanted.get(name):
                self.problems.append(f"{step.run_id}/{step.id}: artifact {name} has other bytes")

    def _compare_files(self) -> None:
        """A name outside tmp/ is given only to bytes that are on the disk (rule 1 of artifacts/writer.py)."""
        for path in self._site.artifacts.glob("*/*/*"):
            sha256, _, rest = path.name.partition("-")
            if len(sha256) != 64 or "." in rest or path.parent.parent.name == "tmp":
                continue
            if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                self.problems.append(f"{path.name} has other bytes than its name says")

    async def _compare_notes(self, rt: Runtime) -> None:
        """A projection has synchronous=FULL always: rows that were acknowledged are there, and no others."""
        view = await rt.projection(VIEW)
        self._look_into(next(self._site.projections.glob("*.db")))
        tables = await view.query("SELECT name FROM sqlite_master WHERE name = 'notes'")
        rows = await view.query("SELECT run, value FROM notes") if tables else []
        found = {row["run"]: row["value"] for row in rows}
        for run_id, value in found.items():
            if value != text(run_id, "note"):
                self.problems.append(f"the note of run {run_id} is not the one that was written")
        observations = [
            Observation(
                f"the note of run {run_id} is {'there' if run_id in found else 'not there'}",
                (_times(history.note.begin, history.note.done, is_there=run_id in found),),
            )
            for run_id, history in self._promised.runs.items()
        ]
        wrong = contradiction(observations, self._moment, is_full=True)
        if wrong is not None:
            self.problems.append(wrong)


def _times(begin: float, done: float, *, is_there: bool) -> Interval:
    return (begin, float("inf")) if is_there else (0, done)


async def _all_runs(rt: Runtime) -> AsyncIterator[WorkflowRun]:
    after: str | None = None
    while True:
        page = await rt.runs(limit=100, after=after)
        for run in page:
            yield run
        if page.next is None:
            return
        after = page.next
