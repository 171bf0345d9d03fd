"""The open SQLite store: every verb of the protocol as one line over the writer."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import outcome
import trio

from trio_workflow.clock import Clock
from trio_workflow.model.changes import Changes, ClaimRequest, Renewal
from trio_workflow.model.outcome import Completion
from trio_workflow.model.plan import RunSpec
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.removal import FailedRemoval, Removal
from trio_workflow.offload import Offload
from trio_workflow.source import SOURCE
from trio_workflow.store.protocol import Created, Exchanged, StoreStatistics
from trio_workflow.store.sqlite.committer import Committer, Verb
from trio_workflow.store.sqlite.connections import Readers
from trio_workflow.store.sqlite.opening import left_alone, open_file, resolve, while_locked
from trio_workflow.store.sqlite.reads import SQLiteReads
from trio_workflow.store.sqlite.statements import SQL
from trio_workflow.store.sqlite.verbs.cancel import cancel_run
from trio_workflow.store.sqlite.verbs.claim import claim
from trio_workflow.store.sqlite.verbs.complete import complete, fence, renew, save
from trio_workflow.store.sqlite.verbs.create import create_runs
from trio_workflow.store.sqlite.verbs.delete import delete_run, prune, purge
from trio_workflow.store.sqlite.verbs.queues import configure_queues, queue_limits
from trio_workflow.store.sqlite.verbs.removal import (
    failed_removals,
    release_artifacts,
    removals,
    settle_removals,
)
from trio_workflow.store.sqlite.verbs.retry import retry_run, retry_step
from trio_workflow.store.sqlite.verbs.shrink import shrink
from trio_workflow.store.sqlite.writer import EXCHANGE, RENEWAL, Writer


class OpenSQLiteStore:
    """The verbs. Made by open_store, closed by aclose."""

    def __init__(self, path: str, committer: Committer, readers: Readers) -> None:
        self._path, self._committer, self._readers = path, committer, readers
        self._pid = os.getpid()
        self._writer = Writer(committer)
        self._data_version = committer.rival_version  # when `poll` was last asked
        self.reads = SQLiteReads(readers)

    def __repr__(self) -> str:
        return f"<OpenSQLiteStore {self._path} commits={self._committer.statistics.commits}>"

    async def create_runs(self, specs: Sequence[RunSpec], *, if_exists: str) -> Created:
        return await self._writer.submit(partial(create_runs, specs=specs, if_exists=if_exists))

    async def exchange(self, completions: Sequence[Completion], request: ClaimRequest | None) -> Exchanged:
        verbs: list[Verb] = [partial(complete, completions=completions)]
        if request is not None:
            verbs.append(partial(claim, request=request, new_tokens=SOURCE.tokens))
        done, *claimed = await self._writer.submit_all(verbs, EXCHANGE)
        return Exchanged(_value_or_error(done), _value_or_error(claimed[0]) if claimed else None)

    async def renew(self, renewals: Sequence[Renewal], lease: int) -> frozenset[str]:
        return await self._writer.submit(partial(renew, renewals=renewals, lease=lease), RENEWAL)

    async def save(self, step_key: int, token: str, data: str) -> bool:
        return await self._writer.submit(partial(save, step_key=step_key, token=token, data=data))

    async def holds(self, leases: Sequence[tuple[int, str]]) -> frozenset[str]:
        return frozenset(await self._writer.submit(partial(fence, leases=leases), RENEWAL, locks=False))

    async def poll(self) -> bool:
        version = await self._writer.submit(self._committer.data_version, RENEWAL, locks=False)
        before, self._data_version = self._data_version, version
        return before != version

    async def configure_queues(self, queues: Mapping[str, QueueConfig]) -> None:
        await self._writer.submit(partial(configure_queues, queues=queues))

    async def queue_limits(self) -> Mapping[str, QueueConfig]:
        return await self._writer.submit(queue_limits, locks=False)

    async def cancel_run(self, run_id: str) -> Changes:
        return await self._writer.submit(partial(cancel_run, run_id=run_id))

    async def retry_step(self, run_id: str, step_id: str) -> Changes:
        return await self._writer.submit(partial(retry_step, run_id=run_id, step_id=step_id))

    async def retry_run(self, run_id: str) -> Changes:
        return await self._writer.submit(partial(retry_run, run_id=run_id))

    async def delete_run(self, run_id: str) -> None:
        await self._writer.submit(partial(delete_run, run_id=run_id))

    async def prune(self, before: int, limit: int) -> int:
        return await self._writer.submit(partial(prune, before=before, limit=limit))

    async def release_artifacts(self) -> bool:
        return await self._writer.submit(release_artifacts, durable=True)

    async def purge(self) -> bool:
        return await self._writer.submit(purge)

    async def removals(self, until: int, limit: int) -> Sequence[Removal]:
        return await self._writer.submit(partial(removals, until=until, limit=limit), locks=False)

    async def failed_removals(self, after: int, limit: int) -> Sequence[Removal]:
        return await self._writer.submit(partial(failed_removals, after=after, limit=limit), locks=False)

    async def settle_removals(
        self, removed: Sequence[int], failed: Sequence[FailedRemoval]
    ) -> frozenset[int]:
        return await self._writer.submit(partial(settle_removals, removed=removed, failed=failed))

    async def shrink(self) -> bool:
        return await self._writer.submit(partial(shrink, at_end=self._committer.ask_for_checkpoint))

    def take_changes(self) -> Sequence[Changes]:
        return self._committer.take_changes()

    def statistics(self) -> StoreStatistics:
        counts = self._committer.statistics
        return StoreStatistics(
            commits=counts.commits,
            calls=counts.entries,
            largest_batch=counts.largest_batch,
            locked_out=counts.locked_out,
            taken_back=counts.taken_back,
            checkpoints=self._committer.checkpoints,
        )

    def sever(self) -> None:
        self._writer.sever()

    @trio.lowlevel.enable_ki_protection
    async def aclose(self) -> None:
        """Close every connection; the last process to do so copies the log back into the file.

        In a forked child nothing happens: connections and threads are its parent's.
        """
        if os.getpid() != self._pid:
            return
        with trio.CancelScope(shield=True):
            self._readers.close()
            await self._writer.aclose()


def _value_or_error(answer: outcome.Outcome[Any]) -> Any:
    return answer.error if isinstance(answer, outcome.Error) else answer.unwrap()


@trio.lowlevel.enable_ki_protection
async def open_store(path: str, synchronous: str, clock: Clock, *, create: bool = True) -> OpenSQLiteStore:
    """Open the file, in a thread. Raises StoreError."""

    def open_committer() -> tuple[str, Committer]:
        return while_locked(lambda: open_once(resolve(path)))

    def open_once(file: str) -> tuple[str, Committer]:
        conn = open_file(file, synchronous, create=create)
        with left_alone(file):
            try:
                latest = conn.execute(SQL["latest_time"]).fetchone()[0]
                clock.not_before(latest or 0)
                return file, Committer(file, conn, clock)
            except BaseException:
                conn.close()
                raise

    file, committer = await Offload(trio.CapacityLimiter(1)).run(open_committer)
    return OpenSQLiteStore(file, committer, Readers(file, committer.watch))
