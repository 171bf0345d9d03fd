"""One trio run at a time: what a store object keeps (locks, limiters) belongs to the run that uses it."""

import threading

import trio

from trio_workflow.errors import WorkflowError


class SingleRun:
    """Which trio run uses an object. Runs may take turns; two at once would hang each other.

    owner: how the object is named in the error.
    """

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._token: trio.lowlevel.TrioToken | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether another trio run uses the object now."""
        token = self._token
        return token is not None and token is not trio.lowlevel.current_trio_token() and _is_running(token)

    def check(self) -> None:
        """Let this trio run use the object. Raises WorkflowError while another trio run uses it."""
        token = trio.lowlevel.current_trio_token()
        if token is self._token:
            return
        with self._lock:
            if self._token is not None and _is_running(self._token):
                raise WorkflowError(
                    f"{self._owner!r} is used in two trio runs at once: make a store object for each trio.run"
                )
            self._token = token

    def release(self) -> None:
        """This trio run is done with the object, and another may use it."""
        self._token = None


def _is_running(token: trio.lowlevel.TrioToken) -> bool:
    try:
        token.run_sync_soon(_nothing)
    except trio.RunFinishedError:
        return False
    return True


def _nothing() -> None:
    pass
