"""What an executor made and how it ended, held against what its attempt hands in."""

from collections.abc import Iterator, Mapping

import attrs

from trio_workflow.model.outcome import Failed, Outcome, RecordWrite, Success
from trio_workflow.model.plan import StepSpec

Raised = tuple[str, bool, float | None]
"""Of a failure: its code, whether it is retryable, its delay."""

TIMED_OUT: Raised = ("timeout", True, None)


@attrs.frozen
class Made:
    """data: the result's JSON text. artifacts: name, content type, metadata, size of each."""

    data: str
    records: list[RecordWrite]
    artifacts: list[tuple[str, str, Mapping[str, str], int]]
    emitted: list[StepSpec]


def disagreements(made: Made | None, raised: Raised | None, outcome: Outcome | None) -> Iterator[str]:
    """Each is a sentence. made: None for an executor that has not come to its end; raised: None for one that
    has not failed by itself."""
    match outcome:
        case Success():
            artifacts = [(a.name, a.content_type, a.metadata, a.size) for a in outcome.artifacts]
            handed_in = Made(outcome.data, list(outcome.records), artifacts, list(outcome.emitted))
            if made is not None and handed_in != made:
                yield f"it made {made} and {handed_in} was handed in"
            if raised is not None:
                yield f"it raised {raised} and a success was handed in"
        case Failed(failure, timed_out) if not timed_out:
            told = (failure.code, failure.retryable, failure.delay)
            if raised != told:
                yield f"it raised {raised or 'nothing'} and {told} was handed in"
        case Failed(failure):
            if (failure.code, failure.retryable, failure.delay) != TIMED_OUT:
                yield f"it timed out as {failure.code}, retryable {failure.retryable}"
        case _:
            pass
