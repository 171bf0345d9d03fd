"""Loss of power: a workload is recorded, and the engine is opened on states that the disk may be left in.

record.py runs workload.py under strace; strace_output.py and recording.py turn the trace into events (events.py).
disk.py holds what the events have made durable at a moment; contents.py and names.py say which contents and
which directory entries a loss of power may leave; audit.py opens one such state and checks it against what the
workload had acknowledged (acknowledged.py). plants.py has fsync bugs that must be found.
"""
