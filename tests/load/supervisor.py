"""The parent: it starts all processes, lets them be disturbed for some seconds, stops them, and audits."""

import random
import sqlite3
from functools import partial

import attrs
import trio
from chaos.fleet import LOOK, Fleet
from chaos.journal import FAULTS, Journal
from chaos.program import Site

from trio_workflow import RuntimeCrashedError, StoreError

from .facts import Facts, gather_facts
from .lock_sampler import LockSampler
from .nemesis import Nemesis
from .settings import ServiceOptions, Synchronous, config_of, make_folders, opened
from .workload import PROJECTIONS, TALLIES

SHORT_INTERVAL = 1e-6
"""Of sys.setswitchinterval, in the runs that the seed draws."""

SYNCHRONOUS: tuple[Synchronous, ...] = ("FULL", "NORMAL")
"""What a kill leaves of acknowledged commits is the same with both."""

OTHERS = 2
CLIENTS_OF_OTHERS = 8


@attrs.frozen(kw_only=True)
class LoadOptions:
    seconds: float
    clients: int
    seed: int


@attrs.frozen
class Draw:
    """What the seed decides for the whole run."""

    options: LoadOptions
    random: random.Random
    is_short: bool
    keeps: float
    main_has_second: bool
    synchronous: Synchronous

    @classmethod
    def of(cls, options: LoadOptions) -> "Draw":
        drawn = random.Random(f"load {options.seed}")
        # The longest keeps most of what was acknowledged for the audit.
        is_short, keeps = drawn.random() < 0.4, drawn.choice((8.0, max(20.0, options.seconds / 2), 1000.0))
        has_second, synchronous = drawn.random() < 0.4, drawn.choice(SYNCHRONOUS)
        return cls(options, drawn, is_short, keeps, has_second, synchronous)

    def main(self) -> ServiceOptions:
        return ServiceOptions(
            worker_id="main",
            clients=self.options.clients,
            seed=f"{self.options.seed} main",
            max_workers=64,
            keep=self.keeps,
            seconds=self.options.seconds,
            has_second_runtime=self.main_has_second,
            switch_interval=self._interval(self.is_short),
            synchronous=self.synchronous,
        )

    def other(self, place: int, number: int) -> ServiceOptions:
        """The options of the nth process in a place of the two beside the main one."""
        drawn = random.Random(f"{self.options.seed} {place} {number}")
        return ServiceOptions(
            worker_id=f"other-{place}",
            clients=CLIENTS_OF_OTHERS,
            seed=f"{self.options.seed} {place} {number}",
            max_workers=8,
            keep=drawn.choice((None, self.keeps)),
            has_second_runtime=drawn.random() < 0.3,
            switch_interval=self._interval(drawn.random() < 0.2),
        )

    def bulk(self) -> ServiceOptions:
        """A process whose only client makes the database larger and smaller, as fast as it can."""
        seed = f"{self.options.seed} bulk"
        return ServiceOptions(worker_id="bulk", clients=0, seed=seed, max_workers=1, has_bulk=True)

    @staticmethod
    def _interval(is_short: bool) -> float | None:
        return SHORT_INTERVAL if is_short else None


async def play(site: Site, options: LoadOptions, package: str) -> Facts:
    """The whole run: what is left behind by it, as facts for the audit."""
    make_folders(site)
    journal = Journal(site.logs / FAULTS)
    fleet = Fleet(site, journal, package, is_quiet=True)
    sampler = LockSampler(site, fleet, journal)
    await make_files(site)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sampler.sample_always)
            await _load(site, fleet, Draw.of(options))
            nursery.cancel_scope.cancel()
    finally:
        fleet.kill_all()
    journal.close()
    return gather_facts(site, await _check(site), sampler.samples)


async def make_files(site: Site) -> None:
    """The store and the projections are there before anything happens to them."""
    async with opened(config_of(site, "parent")) as rt:
        for name in PROJECTIONS:
            await (await rt.projection(name)).execute(TALLIES)


async def _load(site: Site, fleet: Fleet, draw: Draw) -> None:
    """All processes, until the main one has ended: its clients end what they do and begin nothing new."""
    nemesis = Nemesis(site, fleet, draw.random)
    fleet.start_helper("service", str(site.root), draw.bulk().to_text())
    main = fleet.start_helper("service", str(site.root), draw.main().to_text())
    async with trio.open_nursery() as nursery:
        for place in range(OTHERS):
            nursery.start_soon(nemesis.keep_service, partial(draw.other, place))
        for repeat in (nemesis.keep_reader, nemesis.keep_looker, nemesis.repeat_cron, nemesis.repeat_backups):
            nursery.start_soon(repeat)
        with trio.move_on_after(draw.options.seconds):
            while main.process.poll() is None:  # noqa: ASYNC110 - a process has no event of trio's
                await trio.sleep(LOOK)
        await nemesis.wait_end(main)
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        for member in fleet.running():
            nursery.start_soon(nemesis.stop, member)


async def _check(site: Site) -> list[str]:
    """What the engine itself says of the file when everything has stopped."""
    try:
        async with opened(config_of(site, "parent")) as rt:
            return [f"check: {violation}" for violation in await rt.check()]
    except (StoreError, RuntimeCrashedError, sqlite3.Error) as error:
        return [f"the store cannot be opened: {error}"]
