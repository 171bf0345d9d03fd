"""Bugs above the transaction: who is told, who starts, who is cancelled, and the line of those who write."""

from .bug import bug

SQLITE = "store/sqlite/"
RUNTIME = "runtime/"
TAKEN_BACK = (
    "            self.statistics.taken_back += 1\n"
    "            self._commit_one_by_one(batch)\n"
    "            return\n"
)

RUNTIME_BUGS = (
    bug(
        "a commit is acknowledged before COMMIT",
        SQLITE + "committer.py",
        TAKEN_BACK,
        "            self.statistics.taken_back += 1\n            if 'answers' not in locals():\n"
        "                self._commit_one_by_one(batch)\n                return\n",
    ),
    bug(
        "one that fails takes its batch with it",
        SQLITE + "committer.py",
        TAKEN_BACK,
        "            self.statistics.taken_back += 1\n            raise\n",
    ),
    bug(
        "after a batch is taken back its last verb is forgotten",
        SQLITE + "committer.py",
        "            entry.answers = [self._commit_alone(verb) for verb in entry.verbs]\n",
        "            entry.answers = [self._commit_alone(verb) for verb in entry.verbs]\n"
        "            if len(batch) > 1 and batch[-1] is entry:\n                self._committed.clear()\n",
    ),
    bug(
        "a severed store goes on writing",
        SQLITE + "writer.py",
        "        self._committer.is_severed = True\n",
        "",
    ),
    bug(
        "a call that was taken is dropped when it is cancelled",
        SQLITE + "writer.py",
        "                entry.cancel = raise_cancel\n                return trio.lowlevel.Abort.FAILED\n",
        "                return trio.lowlevel.Abort.SUCCEEDED\n",
    ),
    bug(
        "nobody leads when the one who led is done",
        SQLITE + "writer.py",
        "            trio.lowlevel.reschedule(successor)\n",
        "            self._line[0].task = successor\n",
    ),
    bug(
        "changes are told last first",
        SQLITE + "committer.py",
        "            taken.append(self._committed.popleft())\n",
        "            taken.append(self._committed.pop())\n",
    ),
    bug(
        "a wake-up is lost",
        RUNTIME + "hub.py",
        "        if changes.ready or changes.revoked or changes.due is not None:\n",
        "        if changes.revoked or changes.due is not None:\n",
    ),
    bug(
        "a date is not waited for",
        SQLITE + "verbs/claim.py",
        "    turns_at = _first(changes.due, next_delayed, *hall.limited.values())\n",
        "    turns_at = _first(*hall.limited.values())\n",
    ),
    bug(
        "a token of the rate limit is not waited for",
        SQLITE + "verbs/claim.py",
        "    turns_at = _first(changes.due, next_delayed, *hall.limited.values())\n",
        "    turns_at = _first(changes.due, next_delayed)\n",
    ),
    bug(
        "who waits for a run is not told of its end",
        RUNTIME + "hub.py",
        "            if run.status.is_final:\n                self._wake(run.run_id)\n        self._board",
        "            pass\n        self._board",
    ),
    bug(
        "other processes' work is not looked for",
        RUNTIME + "poller.py",
        "            if has_news:\n",
        "            if False:\n",
    ),
    bug(
        "what another process revoked runs on",
        RUNTIME + "poller.py",
        "        engine.hub.revoke([token for _, token in leases if token not in live])\n",
        "        pass\n",
    ),
    bug(
        "a renewal that is refused cancels nothing",
        RUNTIME + "keeper.py",
        "                holding.cancel(Reason.EXPIRED if is_live else Reason.REVOKED)\n",
        "",
    ),
    bug(
        "a lease counts from the answer to its renewal",
        RUNTIME + "keeper.py",
        "holding.extend(sent + self._lease):",
        "holding.extend(trio.current_time() + self._lease):",
    ),
    bug(
        "a lease counts from the answer to its claim",
        RUNTIME + "desk.py",
        "started = self._start(done.answer, sent, revoked)",
        "started = self._start(done.answer, trio.current_time(), revoked)",
    ),
    bug(
        "nothing is renewed",
        RUNTIME + "keeper.py",
        "            live = await self._store.renew(",
        "            live = await self._nothing(",
        "    async def watch_always(self)",
        "    async def _nothing(self, renewals: object, lease: int) -> frozenset[str]:\n"
        "        await trio.lowlevel.checkpoint()\n        return frozenset(r.token for r in renewals)\n\n"
        "    async def watch_always(self)",
    ),
    bug(
        "an outcome leaves the outbox before it is stored",
        RUNTIME + "desk.py",
        "        batch = tuple(self._crew.outbox)\n",
        "        batch = tuple(self._crew.outbox)\n        self._crew.outbox.clear()\n",
    ),
    bug(
        "the slot of a step that was revoked is not given back",
        RUNTIME + "crew.py",
        "        self._leave_slot(holding)\n        if holding.reason is None",
        "        if ended.outcome is not None:\n            self._leave_slot(holding)\n"
        "        else:\n            self.running -= 1\n            self.at_rest.value = not self.running\n"
        "        if holding.reason is None",
    ),
    bug(
        "an executor that swallows its cancellation succeeds",
        RUNTIME + "attempt.py",
        "    if holding.reason is not None:\n",
        "    if holding.reason is not None and raised is not None:\n",
    ),
    bug(
        "a timeout is a success",
        RUNTIME + "attempt.py",
        "    if timeout is not None and timed_out:\n",
        "    if False:\n",
    ),
    bug(
        "a step that was stopped counts as a lost lease",
        RUNTIME + "attempt.py",
        "    if reason is Reason.STOPPED:\n        return Released()\n",
        "    if reason is Reason.STOPPED:\n        return LeaseLost(max_lost)\n",
    ),
    bug(
        "a clock that jumps is believed",
        RUNTIME + "drift.py",
        "        if abs(apart) > self._lease / 3:\n",
        "        if False:\n",
    ),
    bug(
        "a runtime that was stopped keeps its steps",
        RUNTIME + "crew.py",
        "            self.outbox.append("
        "Completion(claim.step_key, claim.token, outcome, stored, claim.run_key))\n",
        "            if holding.reason is None:\n"
        "                self.outbox.append(\n"
        "                    Completion(claim.step_key, claim.token, outcome, stored, claim.run_key)\n"
        "                )\n"
        "            else:\n                del self.holdings[holding.token]\n",
    ),
    bug(
        "a drained worker goes on claiming",
        RUNTIME + "session.py",
        "        self.crew.is_accepting = False\n",
        "        pass\n",
    ),
    bug(
        "the event of a wait is never forgotten",
        RUNTIME + "runs.py",
        "                engine.hub.forget(run_id, ended)\n",
        "                pass\n",
    ),
    bug(
        "a wait leaves its poll interval behind",
        RUNTIME + "engine.py",
        "            self.poll_intervals.remove(interval)\n",
        "            pass\n",
    ),
    bug(
        "what a session leaves behind is called when the engine ends",
        RUNTIME + "session.py",
        "            engine.off_end(self._end)\n",
        "",
    ),
    bug(
        "a stream that was left is still written to",
        RUNTIME + "events.py",
        "            self._streams.pop(stream, None)\n",
        "            pass\n",
    ),
)
