"""Simulation: the engine, or a package of yours, in seeded worlds where everything goes wrong. In one thread.

A world:    world.py draws it from a seed, setting.py prepares its place, play.py plays it for as long as
            limits.py and overtime.py let it. acting/ has its course and all who act in it; faults.py and
            scheduler.py disturb them. stage.py is where they meet, and where every commit is looked at.
A look:     expected/ says what must be stored, watching/ follows what runs, looks/ asks at certain moments.
            history.py writes down what happened and what was broken, places.py where.
Many:       campaign.py plays many seeds, shrink.py makes a failing one smaller, failure.py tells it.
For users:  simulate.py is what they call, arguments.py looks at what they gave, users.py runs it.
"""

from trio_workflow.testing.simulation.campaign import Campaign
from trio_workflow.testing.simulation.simulate import SimulationError, simulate
from trio_workflow.testing.simulation.world import Fault, World

__all__ = ["Campaign", "Fault", "SimulationError", "World", "simulate"]
