"""The status of a run, from the counters in its row."""

import attrs

from trio_workflow.model.status import RunStatus, StepStatus


@attrs.define
class Tally:
    """How many steps of a run are in each status; excused: the failed ones that were allowed to fail."""

    pending: int = 0
    ready: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    excused: int = 0

    def add(self, status: StepStatus, by: int) -> None:
        name = status.value
        setattr(self, name, getattr(self, name) + by)

    @property
    def open(self) -> int:
        return self.pending + self.ready + self.running


def run_status(tally: Tally, *, canceled: bool, started: bool) -> RunStatus:
    """Canceled is decided by the operator; the rest follows from the tally.

    A step that is canceled has a failed cause, so that only failures that nobody excused need counting.
    """
    if canceled:
        return RunStatus.CANCELED
    if tally.open:
        return RunStatus.RUNNING if started else RunStatus.PENDING
    return RunStatus.FAILED if tally.failed > tally.excused else RunStatus.SUCCEEDED
