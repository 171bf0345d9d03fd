"""What the parent does to the service processes, and when it starts the others: drawn by the seed.

A service process is restarted in order, cancelled, killed, or stopped for up to three leases, and always put
back. Cron and backup processes come and go.
"""

import random
import signal
from collections.abc import Callable

import attrs
import trio
from chaos.fleet import LOOK, Fleet, Member
from chaos.program import LEASE, Site

from .backup import COPIES
from .open_flag import read_flag
from .settings import ServiceOptions

HANGS_AFTER = 300.0
"""Seconds after which a process that was asked to end is said to hang: hundreds of times what it takes."""

PAUSE, CRON_PAUSE, BACKUP_PAUSE = 2.0, 1.5, 5.0
"""Mean seconds between two faults of one process, two cron processes, two backups."""

ENDED_BY_SIGNAL = ("service", "reader", "looker")
FAULTS = {"restart": 4, "cancel": 2, "kill": 3, "stop": 3, "kill early": 1}


@attrs.frozen
class Nemesis:
    site: Site
    fleet: Fleet
    random: random.Random

    async def keep_service(self, options: Callable[[int], ServiceOptions]) -> None:
        """One service process after the other, each disturbed until it ends. options: of the nth."""
        number = 0
        while True:
            member = self.fleet.start_helper("service", str(self.site.root), options(number).to_text())
            await self._disturb(member)
            number += 1

    async def _disturb(self, member: Member) -> None:
        if self._draw() == "kill early":
            await trio.sleep(self.random.uniform(0, 1))
            await self._end(member, "kill", signal.SIGKILL)
        await self._wait_open(member)
        while member.process.poll() is None:
            await trio.sleep(self.random.expovariate(1 / PAUSE))
            match self._draw():
                case "restart":
                    await self._end(member, "restart", signal.SIGTERM)
                case "cancel":
                    await self._end(member, "cancel", signal.SIGHUP)
                case "kill":
                    await self._end(member, "kill", signal.SIGKILL)
                case _:
                    await self._stop(member)
        await self.wait_end(member)

    def _draw(self) -> str:
        [fault] = self.random.choices(list(FAULTS), list(FAULTS.values()))
        return fault

    async def _wait_open(self, member: Member) -> None:
        while member.process.poll() is None and not read_flag(self.site.root, member.pid):  # noqa: ASYNC110 - see wait_end
            await trio.sleep(LOOK)

    async def _stop(self, member: Member) -> None:
        """SIGSTOP, and SIGCONT after a time that may be longer than a lease."""
        self.fleet.note("stop", member)
        member.process.send_signal(signal.SIGSTOP)
        try:
            await trio.sleep(self.random.uniform(0.05, 3 * LEASE))
        finally:
            member.process.send_signal(signal.SIGCONT)

    async def stop(self, member: Member) -> None:
        """A process that was not asked to end before ends in order; cron and backups leave by themselves."""
        if member.role in ENDED_BY_SIGNAL and not member.wanted:
            self.fleet.tell(member, "restart", signal.SIGTERM)
        await self.wait_end(member)

    async def _end(self, member: Member, wanted: str, number: signal.Signals) -> None:
        self.fleet.tell(member, wanted, number)
        await self.wait_end(member)

    async def wait_end(self, member: Member) -> None:
        """Wait for an end that was asked for. One that hangs writes where its threads are, and is killed."""
        with trio.move_on_after(HANGS_AFTER):
            while member.process.poll() is None:  # noqa: ASYNC110 - a process has no event of trio's
                await trio.sleep(LOOK)
        if member.process.poll() is None:
            member.process.send_signal(signal.SIGQUIT)
            await trio.sleep(1)
        await self.fleet.has_ended(member, LOOK)

    async def keep_reader(self) -> None:
        await self._keep_killed("reader", str(self.site.database))

    async def keep_looker(self) -> None:
        await self._keep_killed("looker", str(self.site.root))

    async def _keep_killed(self, role: str, argument: str) -> None:
        """It ends in order or is killed now and then, and comes back."""
        while True:
            member = self.fleet.start_helper(role, argument, str(self.random.random()))
            await trio.sleep(self.random.uniform(2, 20))
            if self.random.random() < 0.5:
                await self._end(member, "kill", signal.SIGKILL)
            else:
                await self._end(member, "restart", signal.SIGTERM)

    async def repeat_cron(self) -> None:
        while True:
            await trio.sleep(self.random.expovariate(1 / CRON_PAUSE))
            await self._run("cron", str(self.random.random()))

    async def repeat_backups(self) -> None:
        while True:
            await trio.sleep(self.random.expovariate(1 / BACKUP_PAUSE))
            await self._run("backup", self.random.choice(list(COPIES)))

    async def _run(self, role: str, argument: str) -> None:
        await self.wait_end(self.fleet.start_helper(role, str(self.site.root), argument))
