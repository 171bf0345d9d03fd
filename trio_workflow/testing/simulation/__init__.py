"""Simulation: the engine, or a package of yours, in seeded worlds where everything goes wrong. In one thread.

A world:    world.py draws it from a seed, setting.py prepares its place, play.py plays it; in drama.py is its
            course: process.py and operator.py act, faults.py and scheduler.py disturb. What the engine's own
            worlds run is in script.py, workload.py and stubs.py.
A look:     stage.py looks on at every commit. oracle.py (over expected.py, turns.py, order.py, shares.py and
            refusals.py) says what must then be stored, and ledger.py compares.
The others: claims.py, rates.py, watch.py (over products.py), rest.py, ears.py, leaving.py and ending.py look
            at what runs, waits, is told of and is left; contexts.py and reading.py (over sights.py) at what
            executors and users see.
Many:       campaign.py plays many seeds, shrink.py makes a failing one smaller, failure.py tells it.
For users:  simulate.py is what they call. arguments.py looks at what they gave, users.py runs it,
            afterwards.py waits for its end, limits.py and overtime.py say for how long, and places.py tells
            where it broke.
"""

from trio_workflow.testing.simulation.campaign import Campaign
from trio_workflow.testing.simulation.simulate import SimulationError, simulate
from trio_workflow.testing.simulation.world import Fault, World

__all__ = ["Campaign", "Fault", "SimulationError", "World", "simulate"]
