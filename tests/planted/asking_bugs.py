"""Bugs between what users ask for, or produce, and what is stored of it."""

from .bug import bug

AUTHORING = "authoring/"
RUNTIME = "runtime/"
SQLITE = "store/sqlite/"

ASKING_BUGS = (
    bug(
        "a step's delay is lost",
        AUTHORING + "options.py",
        '        delay=_seconds("delay", given.pop("delay", 0.0)),\n',
        '        delay=0.0 * _seconds("delay", given.pop("delay", 0.0)),\n',
    ),
    bug(
        "optional dependencies are required",
        AUTHORING + "options.py",
        "return [Dependency(_step_id(step), False) for step in _flat(steps)]",
        "return [Dependency(_step_id(step), True) for step in _flat(steps)]",
    ),
    bug(
        "an emitted step has no parent",
        AUTHORING + "step_context.py",
        "            parent=self.id,\n",
        "            parent=None,\n",
    ),
    bug(
        "all records have the last one's data",
        AUTHORING + "step_context.py",
        "            records=tuple(self._records),\n",
        "            records=tuple(RecordWrite(r.collection, r.key, self._records[-1].data)"
        " for r in self._records),\n",
    ),
    bug(
        "who saves a checkpoint does not see it",
        AUTHORING + "step_context.py",
        "        await self._services.save(text)\n        self._saved = text\n",
        "        await self._services.save(text)\n",
    ),
    bug(
        "the default retry policy is not used",
        RUNTIME + "engine.py",
        "Limits(config.default_retry, config.max_payload)",
        "Limits(max_payload=config.max_payload)",
    ),
    bug(
        "payloads may have any size",
        RUNTIME + "engine.py",
        "Limits(config.default_retry, config.max_payload)",
        "Limits(config.default_retry)",
    ),
    bug(
        "metadata of a start is lost",
        AUTHORING + "run_builder.py",
        "metadata={**metadata, **self._metadata},",
        "metadata={**self._metadata},",
    ),
    bug(
        "runs of one call are stored one by one",
        RUNTIME + "runs.py",
        "    created = await engine.store.create_runs(specs, if_exists=if_exists)\n",
        "    for spec in specs:\n"
        "        created = await engine.store.create_runs([spec], if_exists=if_exists)\n",
    ),
    bug(
        "in a group of failures the first one decides",
        RUNTIME + "failures.py",
        "next((leaf for leaf in chosen if not leaf.retryable), chosen[0])",
        "chosen[0]",
    ),
    bug(
        "a group of failures is not looked into",
        RUNTIME + "failures.py",
        "leaves = list(leaves_of(error))",
        "leaves = [error]",
    ),
    bug(
        "a group's delay is the first one's",
        RUNTIME + "failures.py",
        "max(delays, default=None) if",
        "next(iter(delays), None) if",
    ),
    bug(
        "what a failure says is lost",
        SQLITE + "rows.py",
        '            "message": failure.message,\n',
        '            "message": failure.code,\n',
    ),
    bug(
        "every stored failure is retryable",
        SQLITE + "rows.py",
        '            "retryable": failure.retryable,\n',
        '            "retryable": True,\n',
    ),
    bug(
        "metadata of artifacts is lost",
        SQLITE + "rows.py",
        "        metadata_text(write.metadata),\n",
        "        metadata_text({}),\n",
    ),
    bug(
        "a revived step keeps its cause",
        SQLITE + "sql/control.sql",
        "UPDATE steps SET status = 'pending', unmet = ?, canceled_by = NULL,",
        "UPDATE steps SET status = 'pending', unmet = ?,",
    ),
    bug(
        "only what has succeeded has a result to depend on",
        SQLITE + "reads.py",
        "step.status.is_final if of_ended",
        "step.status is StepStatus.SUCCEEDED if of_ended",
    ),
    bug(
        "a wait begins to listen after it has looked",
        RUNTIME + "runs.py",
        "            ended = engine.hub.expect(run_id)\n            try:\n"
        "                run = await engine.store.reads.workflow(run_id)\n",
        "            ended = trio.Event()\n            try:\n"
        "                run = await engine.store.reads.workflow(run_id)\n"
        "                ended = engine.hub.expect(run_id)\n",
        "import attrs\n",
        "import attrs\nimport trio\n",
    ),
    bug(
        "slots of another's lease that a cancel frees are nobody's news",
        RUNTIME + "hub.py",
        "        if changes.ready or changes.revoked or changes.due is not None:\n",
        "        if changes.ready or changes.due is not None:\n",
    ),
    bug(
        "a cycle starts more of a queue than its limit",
        RUNTIME + "desk.py",
        "                by_queue[queue] = min(by_queue[queue], self._limits[queue] - started)\n",
        "                pass\n",
    ),
    bug(
        "queues that nobody configured have no rate",
        SQLITE + "verbs/hall.py",
        "        return self._row(queue).config or self._request.default_queue\n",
        "        default = attrs.evolve(self._request.default_queue, rate_limit=None)\n"
        "        return self._row(queue).config or default\n",
    ),
)
