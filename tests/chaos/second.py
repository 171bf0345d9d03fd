"""A second runtime on the same file in one process, for a while."""

from .journal import Journal
from .program import Site, opened


async def open_second(site: Site, worker_id: str, *, log: Journal, works: bool) -> None:
    """It has the same worker id: nothing depends on that. log: of what was read. works: it makes
    a cycle."""
    async with opened(site, worker_id) as second:
        if works:
            await second.run_once()
        found = [f"check of a second runtime: {violation}" for violation in await second.check()]
        log.note("second", found=found)
