"""Signals: the first one drains, a second one cancels."""

import signal

import attrs
import trio

from trio_workflow import Runtime


@attrs.define
class Stop:
    """signum: the signal that asked for the end; None as long as nobody did."""

    signum: int | None = None


async def heed_signals(
    rt: Runtime,
    scope: trio.CancelScope,
    stop: Stop,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Let running steps end and then cancel the scope; at a second signal cancel it at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async with trio.open_nursery() as nursery:
            async for signum in signals:
                if stop.signum is not None:
                    scope.cancel(reason="a second signal")
                stop.signum = signum
                nursery.start_soon(_drain, rt, scope)


async def _drain(rt: Runtime, scope: trio.CancelScope) -> None:
    await rt.drain()
    scope.cancel(reason="a signal, and all steps have ended")
