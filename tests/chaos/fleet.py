"""The processes of a chaos run: started, watched, started anew, and in the end none of them left."""

import signal
import subprocess
import sys
from functools import partial

import attrs
import trio

from .journal import Journal
from .program import Site
from .stuck import TASKS, THREADS, state_of

LOOK = 0.02
"""Seconds between two looks at whether a process has ended."""

TIME_TO_WRITE = 2.0
"""Seconds that a worker which does not end has to write what it is doing."""


@attrs.define(eq=False)
class Member:
    """A process. wanted: how the driver told it to end, if it did; the last word counts.

    is_over: its end was noted. Popen also learns of an end when a signal is sent.
    """

    role: str
    process: "subprocess.Popen[bytes]"
    wanted: str = ""
    is_over: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid


class Fleet:
    """Some workers, each in a place of its own that is filled again when it ends, and helpers beside them.

    package: where the programs of the roles are. is_quiet: it does not print what it starts.
    """

    def __init__(
        self, site: Site, journal: Journal, package: str = str(__package__), *, is_quiet: bool = False
    ) -> None:
        self._site, self._journal, self._package, self._is_quiet = site, journal, package, is_quiet
        self.workers: list[Member] = []
        self._helpers: list[Member] = []
        self.is_replacing = True
        self._launched = 0

    async def watch_always(self) -> None:
        """Note every end, and put a new worker in the place of one that ended."""
        while True:
            for place, member in enumerate(self.workers):
                if self._has_ended(member) and self.is_replacing:
                    self.workers[place] = self._launch("worker", str(self._site.root))
            await trio.sleep(LOOK)

    def start_worker(self) -> None:
        self.workers.append(self._launch("worker", str(self._site.root)))

    def start_helper(self, role: str, *words: str) -> Member:
        helper = self._launch(role, *words)
        self._helpers.append(helper)
        return helper

    async def has_ended(self, member: Member, within: float) -> bool:
        """Wait for its end that long; one that does not end is noted, and killed."""
        with trio.move_on_after(within):
            while not self._has_ended(member):  # noqa: ASYNC110 - a process has no event of trio's
                await trio.sleep(LOOK)
            return True
        await self._note_stuck(member, within)
        self.tell(member, "kill", signal.SIGKILL)
        return False

    async def _note_stuck(self, member: Member, within: float) -> None:
        facts = {"pid": member.pid, "role": member.role, "wanted": member.wanted, "seconds": within}
        self._journal.note("stuck", **facts, state=state_of(member.pid))
        if member.role == "worker":
            member.process.send_signal(THREADS)
            member.process.send_signal(TASKS)
            await trio.sleep(TIME_TO_WRITE)

    def tell(self, member: Member, wanted: str, number: signal.Signals) -> None:
        """Send a signal that is to end it."""
        member.wanted = wanted
        self.note(wanted, member)
        member.process.send_signal(number)

    def note(self, what: str, member: Member) -> None:
        """Something that is done to a process."""
        self._journal.note(what, pid=member.pid, role=member.role)

    def running(self) -> list[Member]:
        """Those whose end was not noted yet."""
        return [member for member in [*self.workers, *self._helpers] if not member.is_over]

    def kill_all(self) -> None:
        """Whatever state they are in, they end now, and are waited for."""
        self.is_replacing = False
        for member in [*self.workers, *self._helpers]:
            member.process.kill()
            member.process.wait()

    def _launch(self, role: str, *words: str) -> Member:
        self._launched += 1
        log = self._site.logs / f"{role}-{self._launched}.stderr"
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", f"{self._package}.{role}", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                preexec_fn=partial(_begin_signals, blocks_interrupts=role == "worker"),
            )
        member = Member(role, process)
        self._journal.note("launch", pid=member.pid, role=role, log=log.stem)
        if not self._is_quiet:
            print(f"{role} {member.pid}", flush=True)
        return member

    def _has_ended(self, member: Member) -> bool:
        code = member.process.poll()
        if code is not None and not member.is_over:
            member.is_over = True
            self._journal.note("exit", pid=member.pid, role=member.role, code=code, wanted=member.wanted)
        return code is not None


def _begin_signals(*, blocks_interrupts: bool) -> None:
    """A process heeds every signal, also where the driver is a job in the background, which ignores some.

    blocks_interrupts: until the process is ready; one within an import would end it with a traceback.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if blocks_interrupts:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
