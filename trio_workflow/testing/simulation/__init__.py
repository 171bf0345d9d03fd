"""Simulation: the engine, or a package of yours, in seeded worlds where everything goes wrong. In one thread.

world.py draws a world from a seed; drama.py plays it: process.py and operator.py act, faults.py and
scheduler.py disturb, stage.py looks on at every commit; oracle.py (over expected.py) says what must then be
stored, ledger.py compares, and claims.py, rates.py, rest.py, watch.py and ending.py look at the rest.
campaign.py plays many seeds, shrink.py makes a failing one smaller, failure.py tells it. script.py is what
the engine's own worlds run. simulate.py is what users call: arguments.py looks at what they gave, users.py
runs it, afterwards.py waits for its end, limits.py and overtime.py say for how long, places.py tells where it
broke.
"""

from trio_workflow.testing.simulation.campaign import Campaign
from trio_workflow.testing.simulation.simulate import SimulationError, simulate
from trio_workflow.testing.simulation.world import Fault, World

__all__ = ["Campaign", "Fault", "SimulationError", "World", "simulate"]
