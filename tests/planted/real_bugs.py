"""Bugs where threads, files, connections and memory are touched, each with the test that finds it.

The simulation has one thread and inline SQL, so that it cannot see them. `python -m tests.planted.real`
plants them in copies of the package, one at a time, and runs the tests.
"""

from .file_bugs import FILE_BUGS, PROCESS_BUGS
from .guard_bugs import GUARD_BUGS
from .real_bug import ARTIFACTS, LEFT, LIMITS, OFFLOAD, PROJECTIONS, RECEIVERS, RUNTIME, SQLITE, real

THREAD_BUGS = (
    real(
        LIMITS + "test_a_store_is_closed_when_the_commit_under_way_has_ended",
        "two threads may use the writer's connection",
        SQLITE + "writer.py",
        "        self._offload = Offload(trio.CapacityLimiter(1))\n",
        "        self._offload = Offload(trio.CapacityLimiter(8))\n",
    ),
    real(
        LIMITS + "test_a_store_is_closed_when_the_commit_under_way_has_ended",
        "the writer is closed beside the batch under way",
        SQLITE + "writer.py",
        "        await self._offload.run_cleanup(self._committer.close)\n",
        "        await trio.to_thread.run_sync(self._committer.close)\n",
    ),
    real(
        LIMITS + "test_commits_and_polls_never_share_the_writers_connection",
        "a poll reads the writer's connection beside a commit",
        SQLITE + "store.py",
        "        version = await self._writer.submit(self._committer.data_version, RENEWAL, locks=False)\n",
        "        version = await trio.to_thread.run_sync(self._committer._read_data_version)\n",
    ),
    real(
        LIMITS + "test_two_reads_at_once_have_a_connection_each",
        "two reads share a connection",
        SQLITE + "connections.py",
        "            return self._idle.pop()\n",
        "            return self._idle[-1]\n",
    ),
    real(
        LIMITS + "test_three_reads_of_a_store_run_at_once",
        "any number of reads run at once",
        SQLITE + "connections.py",
        "        self._offload = Offload(trio.CapacityLimiter(READERS))\n",
        "        self._offload = Offload(trio.CapacityLimiter(100))\n",
    ),
    real(
        LIMITS + "test_the_store_waits_for_no_thread_of_others[read]",
        "reads wait for the threads of others",
        SQLITE + "connections.py",
        "        self._offload = Offload(trio.CapacityLimiter(READERS))\n",
        "        self._offload = Offload()\n",
    ),
    real(
        LIMITS + "test_the_store_waits_for_no_thread_of_others[commit]",
        "commits wait for the threads of others",
        SQLITE + "writer.py",
        "        self._offload = Offload(trio.CapacityLimiter(1))\n",
        "        self._offload = Offload()\n",
    ),
    real(
        LIMITS + "test_functions_as_executors_wait_for_no_thread_of_others",
        "executors wait for the threads of others",
        RUNTIME + "user_code.py",
        "limiter=_THREADS)",
        "limiter=None)",
    ),
    real(
        LIMITS + "test_functions_as_executors_wait_for_no_thread_of_others",
        "two executors at most have a thread",
        RUNTIME + "user_code.py",
        "trio.CapacityLimiter(math.inf)",
        "trio.CapacityLimiter(min(2, math.inf))",
    ),
    real(
        LIMITS + "test_sixteen_calls_of_projections_run_at_once",
        "any number of projections are called at once",
        PROJECTIONS + "sqlite_store.py",
        "trio.CapacityLimiter(_THREADS)",
        "trio.CapacityLimiter(10 * _THREADS)",
    ),
    real(
        LIMITS + "test_eight_calls_of_an_artifact_store_run_at_once",
        "any number of artifacts are stored at once",
        ARTIFACTS + "file_store.py",
        "trio.CapacityLimiter(_THREADS)",
        "trio.CapacityLimiter(10 * _THREADS)",
    ),
    real(
        LIMITS + "test_a_projection_is_closed_when_the_call_under_way_has_ended",
        "a projection is closed beside the call under way",
        PROJECTIONS + "sqlite_store.py",
        "        async with self._turn:\n            await self._calls.run_cleanup(self._database.close)\n",
        "        await self._calls.run(self._database.close)\n",
    ),
    real(
        LIMITS + "test_calls_of_a_projection_take_turns[alone]",
        "two calls of a projection run at once",
        PROJECTIONS + "sqlite_store.py",
        "        async with self._turn:\n            return await self._calls.run_patiently(partial(",
        "        if True:\n            return await self._calls.run_patiently(partial(",
    ),
    real(
        LIMITS + "test_calls_of_a_projection_take_turns[in a transaction]",
        "two calls of a transaction run at once",
        PROJECTIONS + "sqlite_store.py",
        "        self._turn = trio.Lock()\n        self._is_over",
        "        self._turn = trio.Semaphore(2)\n        self._is_over",
    ),
    real(
        "test_offload.py",
        "a call is left alone in its thread when its caller is cancelled",
        OFFLOAD,
        "run_sync(call, limiter=limiter)",
        "run_sync(call, limiter=limiter, abandon_on_cancel=True)",
    ),
    real(
        LIMITS + "test_workers_that_are_stopped_wait_for_the_thread_of_an_executor",
        "an executor is left alone in its thread when it is cancelled",
        RUNTIME + "user_code.py",
        "limiter=_THREADS)",
        "limiter=_THREADS, abandon_on_cancel=True)",
    ),
)

RECEIVER_BUGS = (
    real(
        RECEIVERS + "test_a_receiver_that_is_cancelled_as_it_takes_an_event_has_it",
        "a receiver that is cancelled loses the event",
        RUNTIME + "events.py",
        "                await trio.lowlevel.cancel_shielded_checkpoint()\n",
        "                await trio.lowlevel.checkpoint()\n",
    ),
    real(
        RECEIVERS + "test_an_event_for_a_receiver_that_is_cancelled_goes_to_another",
        "a receiver that is cancelled takes the wake-up of another",
        RUNTIME + "events.py",
        "            await self._readers.park()\n",
        "            await self._readers.park()\n            await trio.lowlevel.checkpoint_if_cancelled()\n",
    ),
    real(
        RECEIVERS + "test_a_reader_that_is_cancelled_as_it_reads_has_the_chunk",
        "a reader of an artifact that is cancelled loses the chunk",
        ARTIFACTS + "reader.py",
        "            return await self._offload.run(self._take_now, limit)\n",
        "            chunk = await self._offload.run(self._take_now, limit)\n"
        "            await trio.lowlevel.checkpoint()\n            return chunk\n",
    ),
    real(
        RECEIVERS + "test_a_commit_that_is_cancelled_in_line_leaves_no_place_in_it",
        "a commit that is cancelled stays in line",
        SQLITE + "writer.py",
        "            self._line.remove(entry)\n            return trio.lowlevel.Abort.SUCCEEDED\n",
        "            return trio.lowlevel.Abort.SUCCEEDED\n",
    ),
    real(
        RECEIVERS + "test_a_put_that_is_cancelled_leaves_its_thread_and_no_file",
        "a put that is cancelled leaves its part file",
        ARTIFACTS + "file_store.py",
        "            await self._offload.run_cleanup(part.discard)\n",
        "            await self._offload.run(part.discard)\n",
    ),
    real(
        "test_projection_transactions.py",
        "a transaction that is cancelled is not undone",
        PROJECTIONS + "sqlite_store.py",
        "                with trio.CancelScope(shield=True):\n"
        "                    await tx.undo(self._database.rollback)\n",
        "                await tx.undo(self._database.rollback)\n",
    ),
)

MEMORY_BUGS = (
    real(
        LEFT + "test_a_wait_that_is_cancelled_leaves_nothing_and_takes_nothing_from_others",
        "the event of a wait is never forgotten",
        RUNTIME + "runs.py",
        "                engine.hub.forget(run_id, ended)\n",
        "                pass\n",
    ),
    real(
        LEFT + "test_a_wait_that_returns_leaves_nothing",
        "a wait leaves its poll interval behind",
        RUNTIME + "engine.py",
        "            self.poll_intervals.remove(interval)\n",
        "            pass\n",
    ),
    real(
        LEFT + "test_a_wait_that_is_cancelled_leaves_nothing_and_takes_nothing_from_others",
        "a wait that is cancelled forgets those of others",
        RUNTIME + "hub.py",
        "            waiting.pop(event, None)\n"
        "            if not waiting:\n"
        "                del self._waiting[run_id]\n",
        "            del self._waiting[run_id]\n",
    ),
    real(
        LEFT + "test_cycles_and_streams_leave_nothing",
        "what a session leaves behind is called when the engine ends",
        RUNTIME + "session.py",
        "            engine.off_end(self._end)\n",
        "",
    ),
    real(
        LEFT + "test_cycles_and_streams_leave_nothing",
        "a cycle that is over is still known to the hub",
        RUNTIME + "hub.py",
        "        self._workers.pop(worker, None)\n",
        "",
    ),
    real(
        LEFT + "test_cycles_and_streams_leave_nothing",
        "a stream that was left is still written to",
        RUNTIME + "events.py",
        "            self._streams.pop(stream, None)\n",
        "            pass\n",
    ),
    real(
        "test_event_floods.py",
        "a stream keeps what nobody reads",
        RUNTIME + "events.py",
        "        if len(self._waiting) >= self.buffer:\n",
        "        if len(self._waiting) >= 10 * self.buffer:\n",
    ),
    real(
        LEFT + "test_virtual_time_forgets_a_thread_that_has_ended",
        "virtual time knows threads that have ended",
        RUNTIME + "autojump.py",
        "        del self._hosts[host]\n",
        "",
    ),
    real(
        LEFT + "test_an_artifact_of_many_chunks_is_never_whole_in_memory",
        "an artifact's bytes are all gathered before they are written",
        ARTIFACTS + "bodies.py",
        "            if len(waiting) + len(data) > PIECE:\n",
        "            if len(waiting) + len(data) > 64 * PIECE:\n",
        "            if len(data) >= PIECE:\n",
        "            if len(data) >= 64 * PIECE:\n",
    ),
)

RARE_BUGS = (  # the simulation sees them, in one of some ten thousand seeds
    real(
        "test_runtime_mishaps.py::"
        "test_nothing_is_claimed_by_workers_that_are_drained_while_outcomes_are_offered_alone",
        "workers that were told to stop claim once more",
        RUNTIME + "desk.py",
        "        if not self._crew.is_accepting:\n            return None\n",
        "",
    ),
)

REAL_BUGS = (
    *THREAD_BUGS,
    *RECEIVER_BUGS,
    *MEMORY_BUGS,
    *FILE_BUGS,
    *PROCESS_BUGS,
    *GUARD_BUGS,
    *RARE_BUGS,
)
