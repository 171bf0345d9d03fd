"""What an executor sees of its step, and what it leaves behind.

Everything an attempt produces is gathered here and stored in one transaction when the executor has returned.
Values are written as JSON when they are given, so that a later change of an object changes nothing.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar, Unpack, overload

from trio_workflow.authoring.options import StepHandle, StepOpts, make_spec, numbered, storable, texts
from trio_workflow.authoring.run_builder import Limits
from trio_workflow.errors import DependencyError, OptionError, OutputError, PayloadError, WorkflowError
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef, Body
from trio_workflow.model.changes import Claim
from trio_workflow.model.outcome import ArtifactWrite, RecordWrite, StoredBytes, Success
from trio_workflow.model.payload import clean_text, dumps, loads, require_name, type_name
from trio_workflow.model.plan import StepSpec
from trio_workflow.model.records import Lease, Step, StepResult, WorkflowRun
from trio_workflow.model.times import to_datetime
from trio_workflow.projections import Projection

T = TypeVar("T")
EXTERNAL_KIND = "external-artifact-ref"


class Services(Protocol):
    """What a context asks of the runtime that runs its step."""

    async def dependency_result(self, run_id: str, step_id: str) -> StepResult | None: ...
    async def save(self, data: str) -> None: ...
    async def put_artifact(self, obj: ArtifactObject) -> ArtifactRef: ...
    async def projection(self, name: str) -> Projection: ...


def output_text(value: object, what: str, max_payload: int) -> str:
    """A product as JSON text. Raises OutputError, which fails the step unless the executor handles it."""
    try:
        text = dumps(value)
    except PayloadError as error:
        raise OutputError("invalid_output", f"{what} cannot be stored: {error}") from error
    if len(text) * 4 > max_payload:
        check_size(len(text.encode()), what, max_payload)
    return text


def check_size(size: int, what: str, max_payload: int) -> None:
    if size > max_payload:
        raise OutputError(
            "payload_too_large",
            f"{what} has {size} bytes, more than max_payload ({max_payload}): put it into an artifact with "
            "store_artifact, and pass its id",
        )


class StepContext:
    """One attempt of one step. Usable until the executor has returned."""

    def __init__(self, claim: Claim, services: Services, limits: Limits) -> None:
        self._claim, self._services, self._limits = claim, services, limits
        self._saved = claim.saved
        self._result = "null"
        self._records: list[RecordWrite] = []
        self._artifacts: list[ArtifactWrite] = []
        self._emitted: list[StepSpec] = []
        self._ids: set[str] = set()  # of artifacts and of emitted steps: the two never look alike
        self._progress: str | None = None
        self._is_open = True

    def __repr__(self) -> str:
        return f"<StepContext {self.idempotency_key} attempt={self.attempt}>"

    @property
    def id(self) -> str:
        """The step's id."""
        return self._claim.step_id

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._claim.run_id

    @property
    def kind(self) -> str:
        """The step's kind."""
        return self._claim.kind

    @property
    def attempt(self) -> int:
        """Which claim of the step this is, from 1."""
        return self._claim.attempt

    @property
    def idempotency_key(self) -> str:
        """``RUN/STEP``: the same in every attempt. Pass it to outside services that can tell repeats."""
        return f"{self.run_id}/{self.id}"

    @property
    def workflow(self) -> WorkflowRun:
        """The run, as it was when this attempt started."""
        return self._claim.run

    @property
    def step(self) -> Step:
        """The step, as it was when this attempt started."""
        return self._claim.step

    @property
    def lease(self) -> Lease:
        """The lease this attempt runs under, as it was first granted."""
        lease = self._claim.step.lease
        assert lease is not None  # a claimed step has one
        return lease

    @property
    def now(self) -> datetime:
        """When this attempt started."""
        return to_datetime(self._claim.started_at)

    @property
    def raw_input(self) -> str:
        """The input's JSON text."""
        return self._claim.input

    @overload
    def input(self) -> Any: ...
    @overload
    def input(self, type: type[T]) -> T: ...
    @overload
    def input(self, type: Any) -> Any: ...
    def input(self, type: Any = Any) -> Any:
        """The input structured as `type`. Raises PayloadError where it does not fit."""
        return loads(self._claim.input, type)

    async def dependency_result(self, step_id: str) -> StepResult:
        """What any step of this run that has ended has produced. Raises DependencyError for another."""
        self._check_open()
        if not isinstance(step_id, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
            raise OptionError(f"step id must be a str, not {step_id!r}")
        found = await self._services.dependency_result(self.run_id, step_id)
        if found is None:
            raise DependencyError(f"dependency result {step_id} not found")
        return found

    @overload
    async def dependency_data(self, step_id: str) -> Any: ...
    @overload
    async def dependency_data(self, step_id: str, type: type[T]) -> T: ...
    @overload
    async def dependency_data(self, step_id: str, type: Any) -> Any: ...
    async def dependency_data(self, step_id: str, type: Any = Any) -> Any:
        """The data of a succeeded step of this run, structured as `type`. Raises DependencyError."""
        result = await self.dependency_result(step_id)
        if result.data is None:
            raise DependencyError(f"dependency data of {step_id} is missing: the step has not succeeded")
        try:
            return loads(result.data, type)
        except PayloadError as error:
            raise DependencyError(
                f"dependency data of {step_id} does not fit {type_name(type)}: {error}"
            ) from error

    def result(self, data: object) -> None:
        """Set the step's result; the last call wins. Raises OutputError for what has no JSON form."""
        self._check_open()
        self._result = output_text(data, "the result", self._limits.max_payload)

    def record(self, collection: str, key: str, data: object) -> None:
        """Add a record. Raises ValueError for a bad name, OutputError for what has no JSON form."""
        self._check_open()
        require_name("record collection", collection)
        storable("record key", key)
        text = output_text(data, f"record {collection}/{key}", self._limits.max_payload)
        self._records.append(RecordWrite(collection, key, text))

    def artifact(
        self,
        name: str,
        content_type: str,
        body: bytes | bytearray | memoryview,
        *,
        id: str | None = None,
        kind: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Add an inline artifact, stored in the database; answers its id, ``RUN/STEP/ID``.

        Raises ValueError for a bad name or an id used before, TypeError for a body that is not bytes,
        OutputError for one larger than max_payload.
        """
        self._check_open()
        if not isinstance(body, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
            raise TypeError(f"an artifact's body must be bytes, not {type(body).__name__}: encode text first")
        data = bytes(body)
        check_size(len(data), f'inline artifact "{name}"', self._limits.max_payload)
        obj = self._artifact_object(name, content_type, data, id, kind, metadata)
        self._artifacts.append(
            ArtifactWrite(
                id=obj.id,
                name=obj.name,
                kind=obj.kind,
                content_type=obj.content_type,
                metadata=obj.metadata,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                body=data,
            )
        )
        return obj.id

    async def store_artifact(
        self,
        name: str,
        content_type: str,
        body: Body,
        *,
        id: str | None = None,
        kind: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ArtifactRef:
        """Put bytes, a file, or an async iterable of bytes into the artifact store, and record the reference.

        The bytes are there when this returns; the reference is stored with the step's success. A store that
        is full, or has no file descriptor free, is waited for as long as the lease holds. An iterable can be
        read only once: it raises StoreUnavailableError when that happens after its first piece. Raises
        ConfigError without an artifact store, TypeError for a str, ValueError as `artifact` does.
        """
        self._check_open()
        if isinstance(body, str):
            raise TypeError("an artifact's body must be bytes, a path object or an async iterable, not str")
        obj = self._artifact_object(name, content_type, body, id, kind, metadata)
        try:
            ref = await self._services.put_artifact(obj)
        except BaseException:
            self._ids.discard(obj.id)  # nothing was put: the id may be tried again
            raise
        self._check_open()
        self._artifacts.append(
            ArtifactWrite(
                id=obj.id,
                name=f"{name}.ref.json",
                kind=EXTERNAL_KIND,
                content_type="application/json",
                metadata=obj.metadata,
                size=ref.size,
                sha256=ref.sha256,
                ref=ref,
            )
        )
        return ref

    def _artifact_object(
        self,
        name: str,
        content_type: str,
        body: Body,
        id: str | None,
        kind: str | None,
        metadata: Mapping[str, str] | None,
    ) -> ArtifactObject:
        require_name("artifact name", name)
        storable("artifact content type", content_type)
        chosen = self._next_artifact_id() if id is None else require_name("artifact id", id)
        full = self._full_id(chosen)
        if full in self._ids:
            raise OptionError(f'artifact id "{chosen}" was already used in this step')
        obj = ArtifactObject(
            id=full,
            name=name,
            kind=require_name("artifact kind", kind or default_kind(name, content_type)),
            content_type=content_type,
            metadata=texts("artifact metadata", metadata or {}),
            body=body,
            life=str(self._claim.run_key),
        )
        self._ids.add(full)
        return obj

    def _full_id(self, artifact_id: str) -> str:
        return "/".join(_quoted(part) for part in (self.run_id, self.id, artifact_id))

    def _next_artifact_id(self) -> str:
        number = len(self._artifacts) + 1
        while self._full_id(artifact_id := numbered("artifact", number)) in self._ids:
            number += 1
        return artifact_id

    async def projection(self, name: str) -> Projection:
        """A read model by name. Raises ConfigError without a projection store, ValueError for a bad name."""
        self._check_open()
        return await self._services.projection(name)

    def emit(self, id: str = "", input: object = None, **opts: Unpack[StepOpts]) -> StepHandle:
        """Add a child step, stored when this step succeeds. Raises ValueError for a bad option."""
        self._check_open()
        step_id = id or self._next_id()
        text = output_text(input, f'the input of emitted step "{step_id}"', self._limits.max_payload)
        spec = make_spec(
            step_id,
            text,
            opts,
            kind_error="emitted step kind is required",
            package=self._claim.step.package,
            retry=self._limits.retry,
            parent=self.id,
        )
        self._emitted.append(spec)
        self._ids.add(step_id)
        return StepHandle(step_id)

    def _next_id(self) -> str:
        number = len(self._emitted) + 1
        while (step_id := numbered(f"{self.id}:emit", number)) in self._ids:
            number += 1
        return step_id

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell operators where this step is; stored with the next renewal of its lease. Raises ValueError."""
        self._check_open()
        for what, value in (("done", done), ("total", 0 if total is None else total)):
            if not isinstance(value, int | float) or isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
                raise OptionError(f"progress {what} must be a number, not {value!r}")
        text = clean_text(message, 500)
        self._progress = output_text({"done": done, "total": total, "message": text}, "progress", 10_000)

    async def save(self, data: object) -> None:
        """Store a checkpoint that a later attempt of this step can read. Raises OutputError.

        A store that is locked or full is waited for, as long as the lease holds.
        """
        self._check_open()
        text = output_text(data, "the checkpoint", self._limits.max_payload)
        await self._services.save(text)
        self._saved = text

    @overload
    def saved(self) -> Any: ...
    @overload
    def saved(self, type: type[T]) -> T | None: ...
    @overload
    def saved(self, type: Any) -> Any: ...
    def saved(self, type: Any = Any) -> Any:
        """The last checkpoint of this step, structured as `type`; None if there is none."""
        return None if self._saved is None else loads(self._saved, type)

    def _check_open(self) -> None:
        if not self._is_open:
            raise WorkflowError(
                f"the StepContext of {self.idempotency_key} was used after its attempt had ended"
            )

    # For the engine.

    def close(self) -> None:
        """From now on nothing more is taken."""
        self._is_open = False

    def product(self) -> Success:
        """What the attempt has produced."""
        return Success(
            data=self._result,
            records=tuple(self._records),
            artifacts=tuple(self._artifacts),
            emitted=tuple(self._emitted),
        )

    def stored(self) -> tuple[StoredBytes, ...]:
        """What the attempt has put into the artifact store."""
        if not self._artifacts:
            return ()
        return tuple(StoredBytes(write.id, write.ref) for write in self._artifacts if write.ref is not None)

    def take_progress(self) -> str | None:
        """What progress has been told since this was last asked."""
        told, self._progress = self._progress, None
        return told

    def put_back_progress(self, told: str) -> None:
        """It was taken and could not be stored; what was told since then counts."""
        self._progress = told if self._progress is None else self._progress


def _quoted(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F")


def default_kind(name: str, content_type: str) -> str:
    """The content type's main type, else the name's extension, else "artifact"."""
    main = content_type.partition("/")[0].strip()
    extension = name.rpartition(".")[2] if "." in name.strip(".") else ""
    return main or extension or "artifact"
