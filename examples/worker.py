"""A polite site crawler and indexer that survives being killed.

    python examples/worker.py                          crawl the Python documentation (served by itself)
    python examples/worker.py --url https://example.org --max-pages 50

The work is two runs in one store: "crawl", whose steps ask for pages and emit the steps for what those link
to (crawler/crawl.py), and "report", started when the crawl has ended (crawler/reporting.py). Both have fixed
ids, so that starting one again answers what is there. A new crawl, one that was killed, one that another
process is working on, and one that ended long ago: all are the same few lines of `crawl_and_report`.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trio
from crawler.crawl import MAP, Crawler
from crawler.options import Options, read_options
from crawler.pages import USER_AGENT
from crawler.progress import Bar, Lines, View, show_progress
from crawler.report import Report
from crawler.reporting import report as report_package
from crawler.screen import print_report
from crawler.site import HOST, local_site
from crawler.sitemap import SiteMap
from crawler.stopping import Stop, heed_signals
from rich.console import Console

from trio_workflow import (
    Config,
    FileArtifactStore,
    QueueConfig,
    RateLimit,
    RunExistsError,
    RunHandle,
    RunStatus,
    Runtime,
    SQLiteProjectionStore,
    SQLiteStore,
    WorkflowError,
    open_runtime,
)

PARSERS = 2
RENDERERS = os.cpu_count() or 1


def main() -> int:
    """Answers the exit status."""
    options = read_options(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        return trio.run(work, options, console)
    except RunExistsError:
        print(f"{options.state} holds another crawl: choose another --state, or --fresh", file=sys.stderr)
        return 2
    except (WorkflowError, OSError) as error:
        print(f"worker.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def work(options: Options, console: Console) -> int:
    """Open everything, and do the job."""
    artifacts = FileArtifactStore(options.state / "artifacts")
    config = config_of(options, artifacts)
    with way_to_site(options) as transport:
        async with open_client(transport) as client, open_runtime(config) as rt:
            crawler = Crawler(
                job=options.job,
                client=client,
                artifacts=artifacts,
                rate=options.rate,
                max_bytes=options.max_bytes,
                folder=options.state / HOST,
            )
            rt.register_package(crawler.package())
            rt.register_package(report_package)
            if options.fresh:
                await forget(rt)
            return await crawl_or_stop(rt, options, console)


def config_of(options: Options, artifacts: FileArtifactStore) -> Config:
    """All that is kept lies in the state folder. The queues' limits hold over all processes that share it."""
    requests = RateLimit(options.rate, burst=options.concurrency)
    return Config(
        store=SQLiteStore(options.state / "engine.db"),
        artifact_store=artifacts,
        projection_store=SQLiteProjectionStore(options.state / "projections"),
        worker_id=f"crawler-{os.getpid()}",
        max_workers=options.concurrency + PARSERS,
        lease_duration=options.lease,
        queues={
            "render": QueueConfig(max_workers=RENDERERS),
            "fetch": QueueConfig(max_workers=options.concurrency, rate_limit=requests),
            "parse": QueueConfig(max_workers=PARSERS),
            "report": QueueConfig(max_workers=1),
        },
    )


@contextmanager
def way_to_site(options: Options) -> Generator[httpx.AsyncBaseTransport | None]:
    """Serve the documentation if that is what is crawled; None: the network as it is."""
    if options.url is not None:
        yield None
        return
    options.state.mkdir(parents=True, exist_ok=True)
    with local_site(options.state / HOST, options.state / "access.log") as transport:
        yield transport


def open_client(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    """A client that says who it is, and waits for nobody longer than ten seconds."""
    return httpx.AsyncClient(transport=transport, headers={"User-Agent": USER_AGENT}, timeout=10.0)


async def crawl_or_stop(rt: Runtime, options: Options, console: Console) -> int:
    """Work, show how far it is, and heed signals; answers the exit status."""
    crawl = await start_or_go_on(rt, "crawl", options.job)
    view: View = Bar(console) if console.is_terminal and not options.plain else Lines(console)
    stop, report = Stop(), None
    async with trio.open_nursery() as nursery:
        await nursery.start(heed_signals, rt, nursery.cancel_scope, stop)
        await nursery.start(rt.start_workers)
        with view:
            nursery.start_soon(show_progress, rt, crawl.id, view)
            report = await crawl_and_report(rt, crawl, options.job.start)
        nursery.cancel_scope.cancel(reason="the work is done")
    if report is not None:
        print_report(console, report)
        await tell_where(rt, options, console)
        return 0
    if stop.signum is not None:
        console.print(f"Stopped. To go on: the same command, with --state {options.state}", soft_wrap=True)
        return 128 + stop.signum
    await tell_failures(rt, console)
    return 1


async def crawl_and_report(rt: Runtime, crawl: RunHandle, start: str) -> Report | None:
    """Wait for the crawl, then for the report on it; None if one of them failed."""
    ended = await crawl.wait()
    if ended.status is RunStatus.SUCCEEDED:
        joined = await start_or_go_on(rt, "report", start)
        ended = await joined.wait()
    result = await rt.result("report", "report")
    if ended.status is not RunStatus.SUCCEEDED or result is None:
        return None
    return result.value(Report)


async def start_or_go_on(rt: Runtime, package: str, input: object) -> RunHandle:
    """A run that has the package's name as its id: started, or the one that is there; failed, tried again."""
    handle = await rt.start_run(package, input, run_id=package, if_exists="return")
    run = await rt.workflow(handle.id)
    if run is not None and run.status is RunStatus.FAILED:
        await rt.retry_run(handle.id)
    return handle


async def forget(rt: Runtime) -> None:
    """Remove both runs with their artifacts, and what was known of the site."""
    for run_id in ("report", "crawl"):
        if await rt.workflow(run_id) is not None:
            await rt.cancel_run(run_id)
            await rt.delete_run(run_id)
    await SiteMap(await rt.projection(MAP)).clear()


async def tell_where(rt: Runtime, options: Options, console: Console) -> None:
    """Put the report's web page beside the database, and say so."""
    page = options.state / "report.html"
    async with rt.open_artifact("report", "report", "report.html") as reader:
        await replace(page, await reader.read())
    again = "the same command shows this again at once, --fresh starts over"
    console.print(
        f"\nReport: {page.absolute()}\nState:  {options.state.absolute()} ({again})", soft_wrap=True
    )


async def replace(path: Path, body: bytes) -> None:
    """Write a file whole or not at all, beside another worker that does the same."""
    draft = trio.Path(path.with_name(f".{path.name}.{os.getpid()}"))
    await draft.write_bytes(body)
    await draft.replace(path)


async def tell_failures(rt: Runtime, console: Console) -> None:
    """Say why there is no report."""
    for run_id in ("crawl", "report"):
        if await rt.workflow(run_id) is None:
            continue
        for step in await rt.steps(run_id, status="failed"):
            if step.error is not None and not step.allow_failure:
                error = step.error
                console.print(f"{step.id}: {error.code}: {error.message}", markup=False, soft_wrap=True)
    console.print("The crawl failed; the same command tries again what failed.")


if __name__ == "__main__":
    sys.exit(main())
