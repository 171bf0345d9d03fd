"""Bugs of artifacts: which bytes a reference names, when they go, and what a stale attempt leaves behind."""

from .bug import bug

ARTIFACTS = "artifacts/"
VERBS = "store/sqlite/verbs/"
RUNTIME = "runtime/"
FENCED = "    book, ending = Book(tx), _Ending()\n    accepted = [\n"
STALE = (
    "    book, ending = Book(tx), _Ending()\n"
    "    for completion in completions:\n"
    "        if isinstance(completion.outcome, Success) and completion.token not in live:\n"
    "            key = completion.step_key\n"
    "            for (run_key,) in tx.conn.execute('SELECT run_key FROM steps WHERE step_key = ?', (key,)):\n"
)

ARTIFACT_BUGS = (
    bug(
        "an artifact's bytes are named by its id alone",
        ARTIFACTS + "layout.py",
        "        return self.folder / stem\n",
        '        return self.folder / "bytes"\n',
        '        return self.folder / f"{stem}.json"\n',
        '        return self.folder / "bytes.json"\n',
        "        return name == self.latest.name or _STEM",
        '        return name in (self.latest.name, "bytes", "bytes.json") or _STEM',
    ),
    bug(
        "bytes of two runs that had one id share a file",
        ARTIFACTS + "layout.py",
        '    return f"{sha256}-{life}" if life else sha256\n',
        "    return sha256\n",
    ),
    bug(
        "a put answers what is there under its id",
        ARTIFACTS + "writer.py",
        "        ref = self._reference(obj, place)\n",
        "        from trio_workflow.artifacts.reader import read_latest\n\n"
        "        if (there := read_latest(place, obj.id)) is not None:\n"
        "            self.discard()\n            return there\n"
        "        ref = self._reference(obj, place)\n",
    ),
    bug(
        "a put leaves the bytes that are there under its id",
        ARTIFACTS + "writer.py",
        "        _also_name(self._path, place.data(stem))\n",
        "        if not place.latest.exists():\n            _also_name(self._path, place.data(stem))\n",
    ),
    bug(
        "a reference is read as its id",
        ARTIFACTS + "reader.py",
        "        ref, file = ref_or_id, _open_exact(layout, ref_or_id)\n",
        "        ref, file = _open_latest(layout.place(ref_or_id.id), ref_or_id.id)\n",
    ),
    bug(
        "a put that is cancelled removes what its id named",
        ARTIFACTS + "file_store.py",
        "            await self._offload.run_cleanup(part.discard)\n",
        "            await self._offload.run_cleanup(part.discard)\n"
        "            with trio.CancelScope(shield=True):\n"
        "                await self._offload.run(remove, self._layout, obj.id)\n",
    ),
    bug(
        "a stale attempt removes what it put by the id",
        RUNTIME + "services.py",
        "        return await _patiently(lambda: put(obj))\n",
        "        ref = await put(obj)\n"
        "        if trio.current_time() > self._holding.expires:\n"
        "            with trio.CancelScope(shield=True):\n"
        "                await self._engine.artifacts.delete(obj.id)\n"
        "        return ref\n",
    ),
    bug(
        "bytes are removed before their run is",
        RUNTIME + "housekeeping.py",
        "    await engine.store.delete_run(run_id)\n",
        "    reads, artifacts = engine.store.reads, engine.config.artifact_store\n"
        "    for step in await reads.steps(run_id, status=None, limit=1000, after=None):\n"
        '        found = await reads.artifact(run_id, step.id, "bytes.bin")\n'
        "        if artifacts is not None and found is not None:\n"
        "            await artifacts.delete(found.ref)\n"
        "    await engine.store.delete_run(run_id)\n",
    ),
    bug(
        "bytes are left when their run is removed",
        RUNTIME + "removal.py",
        "            await artifacts.delete(ref)\n",
        "            pass\n",
    ),
    bug(
        "a removal is forgotten before its bytes are gone",
        RUNTIME + "removal.py",
        "    removed: list[int] = []\n",
        "    await engine.store.settle_removals([removal.key for removal in batch], ())\n"
        "    removed: list[int] = []\n",
    ),
    bug(
        "artifacts of a deleted run are released, and no removal is made",
        VERBS + "removal.py",
        "        if ref is not None and not (uri and _is_committed(tx, uri)):\n",
        "        if False:\n",
    ),
    bug(
        "what attempts have put is not released by the success that follows",
        VERBS + "complete.py",
        "    if row.attempt > 1:\n",
        "    if False:\n",
    ),
    bug(
        "what an attempt has put before it failed is forgotten",
        VERBS + "complete.py",
        "        if completion.stored and not isinstance(outcome, Success):\n",
        "        if False:\n",
    ),
    bug(
        "bytes that a succeeded step shares with its earlier attempts are removed",
        VERBS + "removal.py",
        "    return found is not None\n",
        "    return False\n",
        "    if committed is None:\n",
        "    if True:\n",
    ),
    bug(
        "artifacts of a stale attempt are stored",
        VERBS + "complete.py",
        FENCED,
        STALE + "                writes = completion.outcome.artifacts\n"
        "                ending.artifacts += [artifact_row(run_key, key, write) for write in writes]\n"
        "    accepted = [\n",
    ),
    bug(
        "records of a stale attempt are stored",
        VERBS + "complete.py",
        FENCED,
        STALE + "                records = completion.outcome.records\n"
        "                ending.records += [(run_key, key, r.collection, r.key, r.data) for r in records]\n"
        "    accepted = [\n",
    ),
    bug(
        "the result of a stale attempt replaces what was stored",
        VERBS + "complete.py",
        FENCED,
        STALE + "                tx.conn.execute('DELETE FROM results WHERE step_key = ?', (key,))\n"
        "                ending.results.append((key, completion.outcome.data, '[]'))\n"
        "    accepted = [\n",
    ),
)
