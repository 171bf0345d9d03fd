"""Files of earlier schema versions: the program that wrote them, with data of every kind, and how to compare.

`python tests/schema_kit.py VERSION`, run with the code of that version, writes schema_files/version_N.db.gz,
a store, and version_N.json, all that can be read of it. Both stay as they are from then on.
"""

import enum
import gzip
import json
import math
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import attrs
import trio
from trio.testing import MockClock

from trio_workflow import (
    ArtifactObject,
    ArtifactRef,
    Config,
    Package,
    Permanent,
    QueueConfig,
    RateLimit,
    Retryable,
    RetryPolicy,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepContext,
    open_runtime,
    optional,
)
from trio_workflow.testing import crash, deterministic

FILES = Path(__file__).with_name("schema_files")
DAY = 24 * 3600.0
LEASE = 30.0
RATED = QueueConfig(max_workers=5, rate_limit=RateLimit(rate_per_second=0.001, burst=1))
QUEUES = {"paused": QueueConfig(max_workers=0), "rated": RATED, "default": QueueConfig(max_workers=9)}

package = Package("all kinds")


@package.entrypoint
def start(run: RunBuilder, shape: str) -> None:
    SHAPES[shape](run)


def done(run: RunBuilder) -> None:
    first = run.step("first", {"x": 1}, kind="make", priority=3, metadata={"k": "v"})
    run.step("second", [1, "ä"], kind="plain", depends_on=first)


def failed(run: RunBuilder) -> None:
    broken = run.step("broken", kind="fail")
    run.step("excused", kind="fail", allow_failure=True)
    run.step("blocked", kind="plain", depends_on=broken)
    run.step("anyway", kind="plain", depends_on=optional(broken))


def waiting(run: RunBuilder) -> None:
    delayed = run.step("delayed", kind="plain", delay=DAY, timeout=60.0)
    run.step("pending", kind="plain", depends_on=delayed)
    for number in range(2):
        run.step(f"paused {number}", kind="plain", queue="paused")
        run.step(f"rated {number}", kind="plain", queue="rated")
    run.step("retrying", kind="flaky", retry=RetryPolicy(max_attempts=5, initial_backoff=DAY))


def hanging(run: RunBuilder) -> None:
    run.step("hangs", kind="hang")


SHAPES: Mapping[str, Callable[[RunBuilder], None]] = {
    "done": done,
    "failed": failed,
    "waiting": waiting,
    "hanging": hanging,
}


@package.executor("make")
async def make(step: StepContext) -> dict[str, Any]:
    step.record("pages", f"page {step.id}", {"n": 1})
    step.artifact("note.txt", "text/plain", b"an inline body", metadata={"m": "v"})
    await step.store_artifact("bytes.bin", "application/x-bytes", b"external bytes", id="bytes")
    step.emit("child", {"of": step.id}, kind="plain", dedup_key="one")
    step.emit("twin", kind="plain", dedup_key="one")
    return {"step": step.id, "text": "ä"}


@package.executor("plain")
async def plain(step: StepContext, input: Any) -> Any:
    return input


@package.executor("flaky")
async def flaky(step: StepContext) -> str:
    await step.store_artifact("bytes.bin", "application/x-bytes", f"attempt {step.attempt}".encode())
    if step.attempt < 2:
        raise Retryable("busy", "try again", details={"n": step.attempt})
    return "done"


@package.executor("fail")
async def fail(step: StepContext) -> None:
    raise Permanent("broken", "it is broken", details={"why": [1, 2]})


@package.executor("hang")
async def hang(step: StepContext) -> str:
    """Ends in its third attempt only, and there by what an earlier one has saved."""
    if step.attempt < 3:
        await step.save({"at": 7})
        step.progress(1, 3, "hanging")
        await trio.sleep_forever()
    return f"went on at {step.saved()['at']}"


class MemoryArtifacts:
    """An artifact store whose references name no path of a machine."""

    def __init__(self, *, can_delete: bool = True) -> None:
        self.bodies: dict[str, bytes] = {}
        self.can_delete = can_delete

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        await trio.lowlevel.checkpoint()
        body = bytes(cast(bytes, obj.body))
        digest = sha256(body).hexdigest()
        uri = f"memory:{obj.id}/{digest}-{obj.life}"
        self.bodies[uri] = body
        ref = {name: getattr(obj, name) for name in ("id", "name", "kind", "content_type", "metadata")}
        return ArtifactRef(uri=uri, size=len(body), sha256=digest, **ref)

    @asynccontextmanager
    async def open(self, ref_or_id: ArtifactRef | str, /) -> AsyncIterator[Any]:
        raise NotImplementedError("nobody reads these")
        yield

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        await trio.lowlevel.checkpoint()
        if not self.can_delete:
            raise PermissionError("under legal hold")
        assert not isinstance(ref_or_id, str)
        self.bodies.pop(ref_or_id.uri, None)


@asynccontextmanager
async def opened_file(path: Path, **settings: Any) -> AsyncIterator[Runtime]:
    """A runtime on a file of this kind."""
    plain: dict[str, Any] = {
        "store": SQLiteStore(path, synchronous="OFF"),
        "artifact_store": MemoryArtifacts(),
        "max_workers": 9,
        "poll_interval": math.inf,
        "lease_duration": LEASE,
    }
    async with open_runtime(Config(**plain | settings)) as rt:
        rt.register_package(package)
        yield rt


async def write(path: Path) -> Any:
    """Make the file; returns what can be read of it."""
    async with opened_file(path) as rt:
        await rt.start_run(package.name, "hanging", run_id="hanging")
        await work_until_killed(rt, 1.0)
    await trio.sleep(LEASE)
    async with opened_file(path, queues=QUEUES) as rt:
        for shape in SHAPES:
            if shape != "hanging":
                name = f"a {shape} run"
                await rt.start_run(package.name, shape, run_id=shape, name=name, metadata={"a": "b"})
        await rt.start_run(package.name, "done", run_id="half removed")
        await work_until_killed(rt, 2 * LEASE)
    async with opened_file(path, artifact_store=MemoryArtifacts(can_delete=False)) as rt:
        await rt.start_run(package.name, "waiting", run_id="canceled while it waits")
        await rt.cancel_run("canceled while it waits")
        with suppress(PermissionError):
            await rt.delete_run("half removed")
        return await everything(rt)


async def work_until_killed(rt: Runtime, seconds: float) -> None:
    """What hangs is left running, as by a process that was killed."""
    async with trio.open_nursery() as nursery:
        await nursery.start(rt.start_workers)
        await trio.sleep(seconds)
        crash(rt)


async def everything(rt: Runtime) -> Any:
    """All that can be read, as JSON."""
    runs = sorted(await rt.runs(), key=lambda run: run.id)
    steps = {run.id: list(await rt.steps(run.id)) for run in runs}
    return {
        "runs": [json_of(run) for run in runs],
        "steps": json_of(steps),
        "results": {
            run_id: [json_of(await rt.result(run_id, step.id)) for step in of_run]
            for run_id, of_run in steps.items()
        },
        "alias": json_of(await rt.step("done", "twin")),
        "records": [json_of(record) for record in await rt.records("pages")],
        "queues": [json_of(queue) for queue in await rt.queues()],
    }


def json_of(value: Any) -> Any:
    if attrs.has(type(value)):
        # The tokens of a queue grow with time.
        names = [field.name for field in attrs.fields(type(value)) if field.name != "tokens"]
        return {name: json_of(getattr(value, name)) for name in names}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):
        return {str(json_of(key)): json_of(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_of(each) for each in value]
    return value


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """What is not as it was. A later version may have more fields."""
    if isinstance(expected, dict) and isinstance(found, dict):
        parts = [differences(value, found.get(key), f"{where}/{key}") for key, value in expected.items()]
        return [line for part in parts for line in part]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for n, pair in pairs for line in differences(*pair, f"{where}/{n}")]
    return [] if expected == found else [f"{where} is {found!r}, and was {expected!r}"]


def unpack(version: int, path: Path) -> Any:
    """Put a copy of the version's file there; returns what could be read of it."""
    path.write_bytes(gzip.decompress((FILES / f"version_{version}.db.gz").read_bytes()))
    return json.loads((FILES / f"version_{version}.json").read_text(encoding="utf-8"))


def main(version: str) -> None:
    FILES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, deterministic(1):
        path = Path(folder) / "engine.db"
        found = trio.run(write, path, clock=MockClock(autojump_threshold=0))
        (FILES / f"version_{version}.db.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
        (FILES / f"version_{version}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
