"""For those who test their workflows: runtimes that leave no files, virtual time, single executors, crashes.

Under `trio.testing.MockClock` the whole runtime lives in virtual time. With its autojump on (pytest-trio's
`autojump_clock`) backoff, delays, rate limits and leases are waited out in no time at all.
"""

from trio_workflow.testing.crashing import crash
from trio_workflow.testing.determinism import deterministic
from trio_workflow.testing.executors import run_executor
from trio_workflow.testing.idle import run_until_idle
from trio_workflow.testing.outcomes import Outcome
from trio_workflow.testing.plans import Plan, PlannedStep, plan
from trio_workflow.testing.runtimes import open_test_runtime
from trio_workflow.testing.simulation import Campaign, Fault, SimulationError, simulate

__all__ = [
    "Campaign",
    "Fault",
    "Outcome",
    "Plan",
    "PlannedStep",
    "SimulationError",
    "crash",
    "deterministic",
    "open_test_runtime",
    "plan",
    "run_executor",
    "run_until_idle",
    "simulate",
]
