"""Drive a store in few words: specs from short texts, claims by step id, a look at the rows by hand."""

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import attrs
import trio
from trio.testing import MockClock

from trio_workflow.clock import current_clock
from trio_workflow.model.changes import Claim, ClaimAnswer, ClaimRequest
from trio_workflow.model.outcome import Completion, Failed, Failure, Outcome, Success
from trio_workflow.model.plan import Dependency, RunSpec, StepSpec
from trio_workflow.model.policy import QueueConfig, RetryPolicy
from trio_workflow.store import Completed, Created, SQLiteStore
from trio_workflow.store.sqlite.store import OpenSQLiteStore

SECOND = 1_000_000
LEASE = 30 * SECOND
RETRY = RetryPolicy(max_attempts=3, backoff="fixed", initial_backoff=1.0)
WIDE = QueueConfig(100)
PERMANENT = Failed(Failure(code="broken", message="it is broken"))
RETRYABLE = Failed(Failure(code="busy", message="try again", retryable=True))


def step(step_id: str, needs: str = "", **options: Any) -> StepSpec:
    """A step that needs those ids, separated by spaces; one that ends in ? is optional."""
    edges = tuple(Dependency(need.rstrip("?"), not need.endswith("?")) for need in needs.split())
    plain: dict[str, Any] = {"id": step_id, "kind": "k", "package": "p", "retry": RETRY, "depends_on": edges}
    return StepSpec(**plain | options)


def run(run_id: str, *steps: StepSpec | str, **options: Any) -> RunSpec:
    """A run of those steps; a text is the id of a step that needs nothing."""
    made = tuple(step(one) if isinstance(one, str) else one for one in steps)
    plain: dict[str, Any] = {
        "id": run_id,
        "package": "p",
        "name": "n",
        "input": "null",
        "metadata": {},
        "steps": made,
    }
    return RunSpec(**plain | options)


def request(limit: int = 100, kinds: Iterable[str] = ("k",), **options: Any) -> ClaimRequest:
    plain: dict[str, Any] = {"worker_id": "w", "default_queue": WIDE, "lease": LEASE, "max_lost": 3}
    return ClaimRequest(**plain | {"limit": limit, "kinds": frozenset(kinds)} | options)


def names(claims: Iterable[Claim]) -> list[str]:
    return [claim.step.id for claim in claims]


@attrs.frozen
class Bench:
    """A store and its file, with the verbs in the form that tests want."""

    store: OpenSQLiteStore
    path: Path

    async def create(self, *runs: RunSpec, if_exists: str = "raise") -> Created:
        return await self.store.create_runs(runs, if_exists=if_exists)

    async def ask(self, limit: int = 100, **options: Any) -> ClaimAnswer:
        answer = (await self.store.exchange((), request(limit, **options))).answer
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer

    async def claim(self, limit: int = 100, **options: Any) -> dict[str, Claim]:
        """What was leased, by step id, in the order of the answer."""
        return {claim.step.id: claim for claim in (await self.ask(limit, **options)).claims}

    async def end_all(self, *ends: tuple[Claim, Outcome]) -> Completed:
        done = [Completion(claim.step_key, claim.token, outcome) for claim, outcome in ends]
        completed = (await self.store.exchange(done, None)).completed
        if isinstance(completed, Exception):
            raise completed
        return completed

    async def end(self, claim: Claim, outcome: Outcome | None = None) -> Completed:
        return await self.end_all((claim, Success() if outcome is None else outcome))

    async def finish(self, limit: int = 100, outcome: Outcome | None = None, **options: Any) -> list[str]:
        """Claim what is ready and end it; answers the ids."""
        claims = (await self.ask(limit, **options)).claims
        await self.end_all(*((claim, Success() if outcome is None else outcome) for claim in claims))
        return names(claims)

    async def statuses(self, run_id: str = "r") -> dict[str, str]:
        page = await self.store.reads.steps(run_id, status=None, limit=1000, after=None)
        return {found.id: found.status.value for found in page}

    async def run_status(self, run_id: str = "r") -> str:
        found = await self.store.reads.workflow(run_id)
        assert found is not None
        return found.status.value

    async def is_sound(self) -> bool:
        """Whether every invariant holds; the assertion shows those that do not."""
        assert await self.store.reads.check() == []
        return True

    def now(self) -> int:
        return self.store._committer._clock.now()

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Look at the file, or change it behind the store's back: then no constraint is in the way."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as conn:
            conn.execute("PRAGMA ignore_check_constraints = ON")
            conn.execute("PRAGMA synchronous = OFF")
            return conn.execute(sql, params).fetchall()

    @property
    def conn(self) -> sqlite3.Connection:
        """The writer's connection."""
        return self.store._committer._conn


@asynccontextmanager
async def open_bench(path: Path) -> AsyncIterator[Bench]:
    async with SQLiteStore(path, synchronous="OFF").open(current_clock()) as store:
        yield Bench(cast(OpenSQLiteStore, store), path)


def jump(seconds: float) -> None:
    """Virtual time goes on."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(seconds)
