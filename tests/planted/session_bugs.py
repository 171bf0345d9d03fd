"""Bugs of sessions and attempts: how workers start and stop, what an executor sees, and what it hands in."""

from .bug import bug

RUNTIME = "runtime/"
AUTHORING = "authoring/"
SQLITE = "store/sqlite/"

SESSION_BUGS = (
    bug(
        "whoever cancels the workers' block cancels its executors",
        RUNTIME + "holding.py",
        "trio.CancelScope(deadline=expires, shield=True)",
        "trio.CancelScope(deadline=expires)",
    ),
    bug(
        "an executor ends with its first lease, renewed or not",
        RUNTIME + "keeper.py",
        "if is_live and holding.extend(sent + self._lease):",
        "if is_live:",
    ),
    bug(
        "leases are not renewed any more after a renewal that failed",
        RUNTIME + "keeper.py",
        "            return self._lease / 12\n",
        "            return float('inf')\n",
    ),
    bug(
        "the lease of a stopped executor that cleans up is not renewed",
        RUNTIME + "holding.py",
        "        return self.reason is None or self.reason is Reason.STOPPED\n",
        "        return self.reason is None\n",
    ),
    bug(
        "leases are renewed as late as possible",
        RUNTIME + "keeper.py",
        "sent + self._lease / 3 - trio",
        "sent + self._lease * 0.95 - trio",
    ),
    bug(
        "what was revoked is told to one session of two",
        RUNTIME + "hub.py",
        ("        for worker in self._workers:\n            worker.revoke(tokens)\n"),
        ("        for worker in self._workers:\n            worker.revoke(tokens)\n            break\n"),
    ),
    bug(
        "an executor that swallowed its lease's end succeeds",
        RUNTIME + "attempt.py",
        "    if holding.scope.cancelled_caught or has_run_out:\n",
        "    if holding.scope.cancelled_caught:\n",
    ),
    bug(
        "what was leased while the workers were stopped is forgotten",
        RUNTIME + "desk.py",
        "            if not self._crew.is_accepting or not engine.slots.take_if_free(queue, claim.token):\n",
        (
            "            if not self._crew.is_accepting:\n"
            "                continue\n"
            "            if not engine.slots.take_if_free(queue, claim.token):\n"
        ),
    ),
    bug(
        "what was leased while the workers were stopped is started",
        RUNTIME + "desk.py",
        "            if not self._crew.is_accepting or not engine",
        "            if not engine",
    ),
    bug(
        "an outcome is not offered again after the disk was full",
        RUNTIME + "desk.py",
        ("        if _is_about_the_store(error):\n            raise error\n"),
        (
            "        if _is_about_the_store(error):\n"
            "            del self._crew.outbox[: len(batch)]\n"
            "            raise error\n"
        ),
    ),
    bug(
        "who waits for a run hears nothing of other processes",
        RUNTIME + "poller.py",
        "    if awaited:\n",
        "    if False:\n",
    ),
    bug(
        "a drain does not wait for what runs",
        RUNTIME + "workers.py",
        "            await work.has_ended.wait()\n",
        "            pass\n",
    ),
    bug(
        "a drain does not wait for a cycle",
        RUNTIME + "workers.py",
        "        with self._work() as work, engine.hears_of_others(engine.config.poll_interval):\n",
        "        work = _Work()\n        with engine.hears_of_others(engine.config.poll_interval):\n",
    ),
    bug(
        "a drain never returns",
        RUNTIME + "workers.py",
        "            work.has_ended.set()\n",
        "",
    ),
    bug(
        "executors are given no grace",
        RUNTIME + "session.py",
        "            with trio.move_on_after(self._engine.config.shutdown_grace):\n",
        "            with trio.move_on_after(0):\n",
    ),
    bug(
        "steps are not given back when the workers are stopped",
        RUNTIME + "session.py",
        "            with trio.move_on_after(LAST_WRITE):\n",
        "            with trio.move_on_after(0):\n",
    ),
    bug(
        "progress is not stored",
        RUNTIME + "holding.py",
        "        return None if self.context is None else self.context.take_progress()\n",
        "        return None\n",
    ),
    bug(
        "progress is lost with the renewal that failed",
        RUNTIME + "keeper.py",
        "                holding.put_back_progress(renewal.progress)\n",
        "                pass\n",
    ),
    bug(
        "a step reads what another one has saved",
        AUTHORING + "step_context.py",
        "        self._saved = claim.saved\n",
        "        self._saved = claim.saved or _LAST.get(claim.run_id)\n",
        ("        await self._services.save(text)\n        self._saved = text\n"),
        ("        await self._services.save(text)\n        self._saved = _LAST[self.run_id] = text\n"),
        "class StepContext:\n",
        ("_LAST: dict[str, str] = {}\n\n\nclass StepContext:\n"),
    ),
    bug(
        "a context can be used after its attempt",
        AUTHORING + "step_context.py",
        "        self._is_open = False\n",
        "        pass\n",
    ),
    bug(
        "what an earlier attempt emitted is kept",
        AUTHORING + "step_context.py",
        "        self._emitted: list[StepSpec] = []\n",
        "        kept = services._engine.__dict__.setdefault('kept', {})\n"
        "        self._emitted: list[StepSpec] = kept.setdefault(claim.step_key, [])\n",
    ),
    bug(
        "the first result wins, not the last",
        AUTHORING + "step_context.py",
        "        self._result = output_text(data",
        "        self._result = self._result if self._result != 'null' else output_text(data",
    ),
    bug(
        "an attempt may take twice its timeout",
        RUNTIME + "attempt.py",
        "deadline = math.inf if timeout is None else trio.current_time() + timeout\n",
        "deadline = math.inf if timeout is None else trio.current_time() + 2 * timeout\n",
    ),
    bug(
        "a timeout is not retried",
        RUNTIME + "failures.py",
        'seconds:g} seconds", retryable=True',
        'seconds:g} seconds", retryable=False',
    ),
    bug(
        "an interrupt in an executor fails its step",
        RUNTIME + "attempt.py",
        "    if interrupt is not None:\n",
        "    if False:\n",
    ),
    bug(
        "an interrupt in an executor does not come to the program",
        RUNTIME + "crew.py",
        "        if ended.interrupt is not None:\n",
        "        if False:\n",
    ),
    bug(
        "the end of a run is not told as an event",
        RUNTIME + "events.py",
        ("has then seen all its steps end\n            if run.status.is_final:\n                self._put"),
        (
            "has then seen all its steps end\n"
            "            if run.status.is_final and not changes.steps:\n"
            "                self._put"
        ),
    ),
    bug(
        "who waits for a run outlives the runtime",
        RUNTIME + "opening.py",
        "        engine.on_end(engine.hub.wake_all)\n",
        "",
    ),
    bug(
        "prune takes seconds for microseconds",
        RUNTIME + "housekeeping.py",
        "    before = engine.clock.now() - micros(older_than)\n",
        "    before = engine.clock.now() - int(older_than)\n",
    ),
    bug(
        "workers look at every queue, whatever they were told",
        RUNTIME + "workers.py",
        "_work_place(self._engine, queues) as",
        "_work_place(self._engine) as",
    ),
    bug(
        "a run that was deleted leaves its rows",
        RUNTIME + "housekeeping.py",
        "    await purge_deleted_runs(engine)\n    await remove_untried(engine)\n"
        "    await retry(engine, failed)\n",
        "    await retry(engine, failed)\n",
    ),
    bug(
        "the log is never copied into the file",
        SQLITE + "log_checkpoint.py",
        ("            self._is_asked_for\n            or"),
        ("            self._is_asked_for and False\n            and"),
    ),
    bug(
        "other processes' work is not looked at while every slot is taken",
        RUNTIME + "poller.py",
        "            if has_news:\n",
        "            if has_news and engine.slots.free:\n",
    ),
    bug(
        "what a step that goes on made before can be read as its result",
        SQLITE + "reads.py",
        "run_id, step_id, of_ended=True))",
        "run_id, step_id))",
    ),
)
