"""The parent's view of the locks: every process that has a runtime open must hold SQLite's locks.

Only what is certain is judged: the flag of the process says before and after the sample that one opening
lasted all the time, and the process still runs and was not sent SIGKILL.
"""

import attrs
import trio
from chaos.fleet import Fleet, Member
from chaos.journal import Journal
from chaos.program import Site

from .observed_locks import Lock, can_observe, held_locks, lacking
from .open_flag import is_open, read_flag

INTERVAL = 0.05
LOOKS = 20


@attrs.define
class LockSampler:
    """samples: how often a process with an open runtime was checked. is_able: /proc/locks shows locks."""

    site: Site
    fleet: Fleet
    journal: Journal
    samples: int = 0
    is_able: bool = attrs.field(factory=can_observe)
    _reported: set[tuple[int, str]] = attrs.field(factory=set[tuple[int, str]])

    async def sample_always(self) -> None:
        while self.is_able:
            self.sample()
            await trio.sleep(INTERVAL)

    def sample(self) -> None:
        """One look at all processes. Nothing is awaited in it, so that the parent kills nobody meanwhile."""
        root = self.site.root
        members = [member for member in self.fleet.running() if member.wanted != "kill"]
        before = {member.pid: read_flag(root, member.pid) for member in members}
        locks = held_locks()
        for member in members:
            if is_open(before[member.pid]):
                files = self._lacking(locks, member.pid)
                is_same = before[member.pid] == read_flag(root, member.pid)
                if is_same and member.process.poll() is None:
                    self.samples += 1
                    self._report(member, files)

    def _lacking(self, locks: list[Lock], pid: int) -> set[str]:
        """The kernel lists locks in pieces and may skip one meanwhile, so that a lack is looked for again.

        A lock that was dropped is not taken again while the runtime is open.
        """
        files = lacking(locks, pid, self.site.database)
        for _ in range(LOOKS):
            if files:
                files &= lacking(held_locks(), pid, self.site.database)
        return files

    def _report(self, member: Member, files: set[str]) -> None:
        for file in files:
            if (member.pid, file) not in self._reported:
                self._reported.add((member.pid, file))
                self.journal.note("lock missing", pid=member.pid, role=member.role, file=file)
