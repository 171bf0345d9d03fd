"""Runs and steps come into being: whole graphs, in one transaction, or not at all."""

from collections.abc import Sequence
from typing import Any

import attrs

from trio_workflow.errors import RunExistsError
from trio_workflow.model.plan import RunSpec, StepSpec
from trio_workflow.model.status import StepStatus
from trio_workflow.model.times import micros
from trio_workflow.rules.graph import Known, Resolved, resolve
from trio_workflow.store.protocol import Created
from trio_workflow.store.sqlite.rows import dependencies_text, metadata_text, policy_text, to_json
from trio_workflow.store.sqlite.transaction import Book, Tx
from trio_workflow.store.sqlite.verbs.settle import cancel_blocked, settle


def create_runs(tx: Tx, specs: Sequence[RunSpec], if_exists: str) -> Created:
    """Runs that were not there are there, with their steps pending or ready.

    A taken id raises RunExistsError before anything is written; with "return", a run of the same package
    and input is left as it is and answered. A graph that is none raises GraphError.
    """
    existing = _existing(tx, specs, if_exists)
    fresh: dict[str, RunSpec] = {}
    for spec in specs:
        if spec.id not in existing:
            fresh.setdefault(spec.id, spec)  # of one asked for twice, the first
    graphs = {run_id: resolve(spec.steps) for run_id, spec in fresh.items()}
    book = Book(tx)
    for run_id, spec in fresh.items():
        add_steps(book, _insert_run(book, spec), graphs[run_id], {})
    return Created(book.close(), existing)


def _existing(tx: Tx, specs: Sequence[RunSpec], if_exists: str) -> frozenset[str]:
    found: set[str] = set()
    first: dict[str, tuple[str, str]] = {}
    for spec in specs:
        same = (spec.package, spec.input)
        row = tx.one("existing_run", {"id": spec.id})
        there = first.setdefault(spec.id, same) if row is None else (row["package"], row["input"])
        if row is None and there is same:
            continue
        if if_exists == "raise":
            raise RunExistsError(f'run "{spec.id}" already exists')
        if there != same:
            what = "package" if there[0] != spec.package else "input"
            raise RunExistsError(f'run "{spec.id}" already exists with another {what}')
        if row is not None:
            found.add(spec.id)
    return frozenset(found)


def _insert_run(book: Book, spec: RunSpec) -> int:
    tx = book.tx
    cursor = tx.run(
        "insert_run",
        {
            "id": spec.id,
            "package": spec.package,
            "name": spec.name,
            "metadata": metadata_text(spec.metadata),
            "now": tx.now,
        },
    )
    run_key = cursor.lastrowid
    assert run_key is not None
    if spec.input != "null":
        tx.run("insert_run_input", {"run_key": run_key, "input": spec.input})
    tx.many("insert_run_metadata", ((key, value, run_key) for key, value in spec.metadata.items()))
    book.open_run(run_key, spec.id, spec.package, spec.name)
    return run_key


@attrs.frozen
class KnownStep:
    step_key: int
    status: StepStatus
    cause: str  # the step whose failure a dependent of this one would be canceled by


def known_steps(tx: Tx, run_key: int, specs: Sequence[StepSpec]) -> tuple[Known, dict[str, KnownStep]]:
    """What the specs can touch of the stored run: by the ids and dedup keys they name, not by its size."""
    ids = dict.fromkeys(spec.id for spec in specs)
    ids |= dict.fromkeys(d.step_id for spec in specs for d in spec.depends_on)
    keys = dict.fromkeys(spec.dedup_key for spec in specs if spec.dedup_key)
    steps: dict[str, KnownStep] = {}

    def note(row: Any) -> str:
        real_id: str = row["real_id"]
        steps[real_id] = KnownStep(row["step_key"], StepStatus(row["status"]), row["canceled_by"] or real_id)
        return real_id

    by_id = {"ids": to_json(list(ids)), "run_key": run_key}
    taken = {row["id"]: note(row) for name in ("known_aliases", "known_ids") for row in tx.all(name, by_id)}
    by_key = {"keys": to_json(list(keys)), "run_key": run_key}
    used = {row["dedup_key"]: note(row) for row in tx.all("known_dedup_keys", by_key)} if keys else {}
    return Known(taken, used), steps


def add_steps(book: Book, run_key: int, graph: Resolved, known: dict[str, KnownStep]) -> None:
    """The steps of a graph are stored, ready or pending; one that requires a dead step is canceled."""
    tx = book.tx
    first_key = tx.one("last_step_key")[0] + 1
    key_of = {step_id: step.step_key for step_id, step in known.items()}
    key_of |= {spec.id: first_key + index for index, spec in enumerate(graph.steps)}
    dead: dict[int, str] = {}
    # Rows are made as they are written: a list of them would be large, and the garbage collector, which stops
    # the event loop, too, would be long at looking through it.
    tx.many(
        "insert_step",
        (
            _step_row(book, run_key, key_of[spec.id], spec, _count_unmet(spec, known, dead))
            for spec in graph.steps
        ),
    )
    tx.many(
        "insert_step_input",
        (
            (key_of[spec.id], spec.input, dependencies_text(spec.depends_on))
            for spec in graph.steps
            if spec.input != "null" or spec.depends_on
        ),
    )
    tx.many(
        "insert_dependency",
        (
            (key_of[dependency.step_id], key_of[spec.id], int(dependency.required))
            for spec in graph.steps
            for dependency in spec.depends_on
        ),
    )
    tx.many("insert_alias", ((run_key, alias, key_of[real]) for alias, real in graph.aliases.items()))
    if dead:
        settle(book, met=(), dead=cancel_blocked(book, dead))


def _count_unmet(spec: StepSpec, known: dict[str, KnownStep], dead: dict[int, str]) -> int:
    """How many dependencies are unmet. Required ones that never will be met are noted in `dead`."""
    unmet = 0
    for dependency in spec.depends_on:
        on = known.get(dependency.step_id)
        if on is not None and dependency.required and on.status in (StepStatus.FAILED, StepStatus.CANCELED):
            dead[on.step_key] = on.cause
            unmet += 1
        elif on is None or not on.status.is_final:
            unmet += 1
    return unmet


def _step_row(book: Book, run_key: int, step_key: int, spec: StepSpec, unmet: int) -> tuple[Any, ...]:
    now = book.tx.now
    delay = micros(spec.delay)
    ready_at, turn = (None, None) if unmet else book.place(spec.queue, run_key, delay)
    status = StepStatus.PENDING if unmet else StepStatus.READY
    book.run(run_key).tally.add(status, 1)
    return (
        step_key,
        run_key,
        spec.id,
        spec.parent_id,
        spec.package,
        spec.kind,
        spec.queue,
        spec.dedup_key,
        policy_text(spec.retry),
        metadata_text(spec.metadata),
        spec.priority,
        None if spec.timeout is None else micros(spec.timeout),
        delay,
        int(spec.allow_failure),
        status,
        unmet,
        turn,
        ready_at,
        now,
        now,
    )
