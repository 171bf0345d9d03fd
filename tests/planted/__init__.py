"""Bugs that are planted in the engine's source, one at a time, to see that the simulation finds each."""
