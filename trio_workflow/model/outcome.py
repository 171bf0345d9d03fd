"""How an attempt ended, as one value: all that user code did leaves it through here."""

from collections.abc import Mapping
from typing import Any

import attrs

from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.plan import StepSpec


@attrs.frozen(kw_only=True)
class Failure:
    """A failure that can always be stored: texts are clean, details are JSON. delay: seconds, or None."""

    code: str
    message: str
    retryable: bool = False
    details: Any = None
    traceback: str = ""
    delay: float | None = None


@attrs.frozen
class RecordWrite:
    collection: str
    key: str
    data: str


@attrs.frozen(kw_only=True)
class ArtifactWrite:
    """An artifact row. body: inline bytes; ref: what the artifact store answered. Exactly one is given."""

    id: str
    name: str
    kind: str
    content_type: str
    metadata: Mapping[str, str]
    size: int
    sha256: str
    body: bytes | None = None
    ref: ArtifactRef | None = None


@attrs.frozen(kw_only=True, slots=False)
class Success:
    """Everything a succeeded attempt wants stored, in one transaction. data: JSON text."""

    data: str = "null"
    records: tuple[RecordWrite, ...] = ()
    artifacts: tuple[ArtifactWrite, ...] = ()
    emitted: tuple[StepSpec, ...] = ()


@attrs.frozen
class Failed:
    """User code failed. timed_out: by the step's timeout. roll: a random number in 0..1 for the jitter."""

    failure: Failure
    timed_out: bool = False
    roll: float = 0.0


@attrs.frozen
class Released:
    """The step is given back, uncharged, and may be claimed at once."""


@attrs.frozen
class LeaseLost:
    """The lease ran out under the attempt, by its worker's clock; counted as if another had noticed."""

    max_lost: int


Outcome = Success | Failed | Released | LeaseLost


@attrs.frozen
class StoredBytes:
    """Bytes that an attempt has put into the artifact store. id: of the artifact; ref: from `put`."""

    id: str
    ref: ArtifactRef


@attrs.frozen(slots=False)
class Completion:
    """An outcome under the fencing token it was reached with; takes effect only while that token holds.

    The references do so in any case, since they change no step: bytes that no committed row names are removed
    later, whichever attempt put them.
    """

    step_key: int
    token: str
    outcome: Outcome
    stored: tuple[StoredBytes, ...] = ()  # what the attempt put into the artifact store
    run_key: int = 0  # tells steps apart that had one step key, one after the other
