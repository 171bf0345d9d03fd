"""The runs of the workload and, as plain functions of a run's id, what must come of them."""

import hashlib
import random

from trio_workflow import Package, Retryable, RetryPolicy, RunBuilder, StepContext

from .marks import Marks

SMALL, BIG, PARKED = "small", "big", "parked"
VIEW = "notes"
PLAIN = {SMALL: 2, BIG: 40}
RETRY = RetryPolicy(max_attempts=3, initial_backoff=0.001, max_backoff=0.001)


def digits(*words: object) -> int:
    """A number below a million that these words alone decide."""
    return int(hashlib.sha256(repr(words).encode()).hexdigest(), 16) % 1_000_000


def body(run_id: str, name: str) -> bytes:
    """The bytes of an artifact. Those of an attempt that fails have a name of their own."""
    size = 1 + digits(run_id, name, "size") % 6_000
    return random.Random(f"{run_id} {name}").randbytes(size)


def text(run_id: str, step_id: str) -> str:
    """The result of a plain step."""
    return f"{digits(run_id, step_id):06}" * (1 + digits(run_id, step_id, "size") % 400)


def shape_of(run_id: str) -> str:
    return run_id.partition("-")[0]


def results(run_id: str) -> dict[str, object]:
    """Step id -> the result that it must have if it has succeeded."""
    plain: dict[str, object] = {f"plain-{n}": text(run_id, f"plain-{n}") for n in range(PLAIN[SMALL])}
    if shape_of(run_id) == SMALL:
        return plain | {"keep": digits(run_id), "note": run_id, "last": digits(run_id) + 1}
    return {}


def artifacts(run_id: str) -> dict[str, bytes]:
    """Name -> bytes of the artifacts that the step `keep` must have if it has succeeded."""
    if shape_of(run_id) != SMALL:
        return {}
    return {
        "new.ref.json": body(run_id, "new"),
        "same.ref.json": body(run_id, "same"),
        "inline": body(run_id, "inline"),
    }


def ends_as(run_id: str) -> str:
    """The status of the run once it has ended. Big and parked runs wait for what never comes."""
    return "succeeded" if shape_of(run_id) == SMALL else "canceled"


def package(marks: Marks) -> Package:
    power = Package("power")

    @power.entrypoint
    def start(run: RunBuilder, shape: str) -> None:
        if shape != SMALL:
            waiting = "x" * 4_000
            for n in range(PLAIN.get(shape, 1)):
                run.step(f"parked-{n}", waiting, kind="parked")
            return
        plain = [run.step(f"plain-{n}", kind="plain") for n in range(PLAIN[shape])]
        keep = run.step("keep", kind="keep", retry=RETRY)
        note = run.step("note", kind="note")
        run.step("last", kind="last", depends_on=[*plain, keep, note])

    @power.executor("plain")
    async def plain(step: StepContext) -> str:
        step.record("plain", step.idempotency_key, digits(step.run_id, step.id))
        return text(step.run_id, step.id)

    @power.executor("keep")
    async def keep(step: StepContext) -> int:
        """Half of its first attempts fail: the second one keeps a body that is new, and one that is equal."""
        fails = step.attempt == 1 and digits(step.run_id) % 2 == 0
        for name, content in (("new", "failed" if fails else "new"), ("same", "same")):
            await step.store_artifact(name, "text/plain", body(step.run_id, content), id=name)
        if fails:
            raise Retryable("once more", "once")
        step.artifact("inline", "text/plain", body(step.run_id, "inline"))
        return digits(step.run_id)

    @power.executor("note")
    async def note(step: StepContext) -> str:
        view = await step.projection(VIEW)
        with marks.operation("note", step.run_id):
            await view.execute("CREATE TABLE IF NOT EXISTS notes (run TEXT PRIMARY KEY, value TEXT)")
            async with view.transaction() as tx:
                value = text(step.run_id, "note")
                await tx.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", step.run_id, value)
        return step.run_id

    @power.executor("last")
    async def last(step: StepContext) -> int:
        marks.begin("end", step.run_id)
        return await step.dependency_data("keep", int) + 1

    return power
