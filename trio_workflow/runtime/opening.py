"""open_runtime: the block a runtime lives in.

Who wins when several things fail: an error of the caller's block comes out as itself, never wrapped in a
group, with a crash of the engine as its context; a crash alone comes out as RuntimeCrashedError from its
cause. The hard part is Cancelled: one that belongs to the hidden nursery must be raised inside it, so that
the scope it belongs to catches it, and any other error must not, so that no group is made of it.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import trio

from trio_workflow.clock import Clock, current_clock
from trio_workflow.errors import ConfigError, RuntimeCrashedError, StoreLostError
from trio_workflow.projections import ClosableProjectionStore
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.poller import poll_always
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.store import Store


# Protected: an interrupt comes in the caller's block, or in a wait, and never between two lines of ours.
@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def open_runtime(config: Config) -> AsyncGenerator[Runtime]:
    """Open the store, and a runtime on it, for the time of the block.

    Leaving the block cancels and awaits this runtime's workers, in whichever nursery they run, then closes
    projections and the store. Raises StoreError for a file that is not fit, RuntimeCrashedError when the
    engine could not go on.
    """
    if not isinstance(config, Config):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise ConfigError(f"open_runtime takes a Config, not {config!r}")
    clock = current_clock()
    async with config.store.open(clock) as store:
        engine = await _engine(config, store, clock)
        try:
            async with _background(engine) as runtime:
                yield runtime
        finally:
            with trio.CancelScope(shield=True):
                if isinstance(config.projection_store, ClosableProjectionStore):
                    await config.projection_store.close()


async def _engine(config: Config, store: Store, clock: Clock) -> Engine:
    engine = Engine(config, store, clock)
    if config.queues:
        await store.configure_queues(config.queues)
    engine.slots.set_limits({q: c.max_workers for q, c in (await store.queue_limits()).items()})
    return engine


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def _background(engine: Engine) -> AsyncGenerator[Runtime]:
    error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_poll, engine)
        engine.on_end(engine.hub.wake_all)
        engine.on_end(engine.board.end)
        engine.on_end(lambda: _stop_block(engine, nursery))
        try:
            yield Runtime(engine)
        except trio.Cancelled:
            raise
        except BaseException as caught:
            error = caught
        finally:
            engine.end()
            with trio.CancelScope(shield=True):
                await engine.sessions.wait_value(0)
            nursery.cancel_scope.cancel(reason="trio_workflow: the runtime's block has ended")
    if error is None or (engine.crash is not None and _is_our_own(error)):
        if engine.crash is not None:
            raise engine.crash
    elif engine.crash is None:
        raise error
    else:
        try:
            raise engine.crash
        except RuntimeCrashedError:
            raise error  # noqa: B904 - the crash is to be its __context__


def _is_our_own(error: BaseException) -> bool:
    """Whether the caller's block ended with nothing but the crash, as its workers' nursery tells of it, or
    whoever was the first to find the store lost."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_our_own(part) for part in cast("BaseExceptionGroup[BaseException]", error).exceptions)
    return isinstance(error, RuntimeCrashedError | StoreLostError | trio.Cancelled)


def _stop_block(engine: Engine, nursery: trio.Nursery) -> None:
    """A crash ends the caller's block. A test's crash(rt) leaves it to the test, and is then quiet."""
    if engine.crash is not None:
        nursery.cancel_scope.cancel(reason="trio_workflow: the engine cannot go on")


async def _poll(engine: Engine) -> None:
    try:
        await poll_always(engine)
    except Exception as error:
        engine.crash_from(error)
