"""crash: a runtime is gone from one moment to the next."""

from trio_workflow.runtime.runtime import Runtime, engine_of


def crash(rt: Runtime) -> None:
    """Drop a runtime as `kill -9` would drop its process.

    Its executors are cancelled, nothing is given back, and nothing more is written: a commit that has begun
    is the last. Steps in hand stay `running` in the store until their leases run out, and another runtime
    takes them over then. `start_workers` and the runtime's block end quietly; pending waits, and using the
    runtime afterwards, raise RuntimeClosedError. One difference remains: clean-up of executors runs, and what
    it does outside the runtime is not held back. A runtime that has ended already is left as it is.
    """
    engine = engine_of(rt)
    if not engine.is_closed:
        engine.kill()
