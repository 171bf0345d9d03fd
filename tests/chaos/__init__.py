"""Chaos with real processes: workers are killed, stopped and starved of disk and lock, then all is audited.

workload    what is run, and what must come of it
worker, starter, hog    the processes
faults, nemesis, fleet, disk    what is done to them
journal     what they did, in files outside the database
facts, audit, recovery, report    what must be so afterwards
"""
