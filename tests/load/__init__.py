"""Load with real threads and real time: services, readers, backups and cron on one file, then an audit.

workload, steps    what is run, and what must come of it
settings, service, client    the service process: one runtime, many clients
start_operations, change_operations, read_operations    what a client does
cron, reader, looker, backup    the other processes
open_flag, observed_locks, leaks, log_journal    what is seen of a process while it lives and when it ends
processes, nemesis, supervisor    the parent: it starts, restarts, kills and stops processes
facts, audit, audit_removal, audit_runs, audit_processes    what must be so afterwards
"""

import sys
from pathlib import Path

# The chaos tests are found through the path, as they are under pytest: their journal and audit are used here.
sys.path.insert(0, str(Path(__file__).parents[1]))
