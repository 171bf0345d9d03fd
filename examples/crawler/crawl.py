"""The package "crawl": asks for pages, reads them, and asks for those they link to.

    render × 8 ──▶ prepare ──▶ fetch the start page ──▶ parse ──▶ fetch … ──▶ parse …

Nobody knows the graph beforehand. A fetch that succeeds emits the parse of its page, a parse the fetches of
its links. A page that several others link to is asked for once, since its URL is the dedup key. The run ends
when nothing is left to do; whatever must come after the last page (see reporting.py) is a run of its own.
"""

from pathlib import Path
from urllib.robotparser import RobotFileParser

import attrs
import httpx
import trio

from crawler import site
from crawler.addresses import host_of, key_of, normalise, robots_url
from crawler.pages import USER_AGENT, Answer, ask
from crawler.parsing import read_page
from crawler.sitemap import SiteMap
from trio_workflow import (
    ArtifactRef,
    ArtifactStore,
    Package,
    Permanent,
    RetryPolicy,
    RunBuilder,
    StepContext,
    StepFailure,
    require,
)

AGAIN = RetryPolicy(max_attempts=4, initial_backoff=0.5, max_backoff=30.0, jitter=0.3)
PATIENCE = 60.0
"""Seconds one attempt to fetch a page may take in all."""

LARGEST_ROBOTS = 500 * 1024
MAP = "sitemap"
"""The projection's name."""


@attrs.frozen(kw_only=True)
class Job:
    """What is to be crawled. render: modules whose documentation must be written first, a list per step."""

    start: str
    max_pages: int
    render: list[list[str]]


@attrs.frozen
class Wanted:
    """A page to ask for. depth: how many links lead to it from the start page, at least."""

    url: str
    depth: int


@attrs.frozen
class Fetched:
    """A page that was stored, to be read."""

    url: str
    depth: int
    charset: str | None
    body: ArtifactRef


@attrs.define(eq=False)
class Crawler:
    """The executors, with what they need of this process.

    rate: requests a second that the queue lets through. folder: where rendered pages go.
    """

    job: Job
    client: httpx.AsyncClient
    artifacts: ArtifactStore
    rate: float
    max_bytes: int
    folder: Path
    _rules: RobotFileParser | None = None  # what the step "prepare" has found, read once per process

    def package(self) -> Package:
        """Make the package."""
        package = Package("crawl", display_name=f"Crawl {self.job.start}", entrypoint=plan)
        package.executor("site/render")(self.render)
        package.executor("crawl/prepare")(self.prepare)
        package.executor("crawl/fetch")(self.fetch)
        package.executor("crawl/parse")(self.parse)
        return package

    async def render(self, step: StepContext, modules: list[str]) -> int:
        """Write the documentation of some modules; answers how many of them have one."""
        return await site.render(self.folder, modules)

    async def prepare(self, step: StepContext, start: str) -> str:
        """Make the map, with the start page on it; answers the site's robots.txt, "" if it has none."""
        site_map = await self._map(step)
        await site_map.create()
        await site_map.admit([start], 0, self.job.max_pages)
        try:
            answer = await ask(self.client, robots_url(start), most=LARGEST_ROBOTS, follow=True)
        except Permanent as failure:
            if failure.code.startswith("http_4"):
                return ""
            raise
        text = (answer.body or b"").decode(errors="replace")
        self._check_rate(rules_of(text))
        return text

    async def fetch(self, step: StepContext, wanted: Wanted) -> None:
        """Ask for a page. HTML is stored, and a step emitted that reads it."""
        site_map = await self._map(step)
        try:
            await self._check_rules(step, wanted.url)
            answer = await ask(self.client, wanted.url, most=self.max_bytes, type_wanted="text/html")
            target = self._target_of(wanted, answer)
        except StepFailure as failure:
            await site_map.note_failure(wanted.url, failure, step.attempt, step.now)
            raise
        await site_map.note_answer(wanted.url, answer, step.attempt, step.now)
        if target is not None:
            await site_map.note_redirect(wanted.url, target)
            await self._want(step, site_map, [target], wanted.depth)
        elif answer.body is not None:
            body = await step.store_artifact("page.html", answer.content_type, answer.body)
            step.emit(
                f"parse:{key_of(wanted.url)}",
                Fetched(wanted.url, wanted.depth, answer.charset, body),
                kind="crawl/parse",
                queue="parse",
                allow_failure=True,
            )

    async def parse(self, step: StepContext, page: Fetched) -> None:
        """Read a page that was stored, and ask for what it links to."""
        async with self.artifacts.open(page.body) as reader:
            body = await reader.read()
        content = await trio.to_thread.run_sync(read_page, body, page.charset, page.url)
        links = [url for url in content.links if self._is_ours(url)]
        site_map = await self._map(step)
        await site_map.note_content(page.url, content, links)
        await self._want(step, site_map, links, page.depth + 1)

    async def _want(self, step: StepContext, site_map: SiteMap, urls: list[str], depth: int) -> None:
        """Emit a fetch for each of these pages that the crawl has room for, near ones first."""
        for url in await site_map.admit(urls, depth, self.job.max_pages):
            step.emit(
                f"fetch:{key_of(url)}",
                Wanted(url, depth),
                kind="crawl/fetch",
                queue="fetch",
                dedup_key=key_of(url),
                retry=AGAIN,
                timeout=PATIENCE,
                priority=-min(depth, 9),
                allow_failure=True,
            )

    def _target_of(self, wanted: Wanted, answer: Answer) -> str | None:
        """Where on the site the page has moved to. A start page that has left the site is a mistake."""
        if answer.location is None:
            return None
        target = normalise(answer.location, wanted.url)
        if target is not None and self._is_ours(target):
            return target
        if wanted.url == self.job.start:
            raise Permanent("moved_away", f"the start page has moved: try --url {target or answer.location}")
        return None

    def _is_ours(self, url: str) -> bool:
        return host_of(url) == host_of(self.job.start)

    def _check_rate(self, rules: RobotFileParser) -> None:
        delay = rules.crawl_delay(USER_AGENT)
        if delay and self.rate * float(delay) > 1:
            raise Permanent(
                "too_fast", f"robots.txt asks for {delay} s between pages: --rate {1 / float(delay):g}"
            )

    async def _check_rules(self, step: StepContext, url: str) -> None:
        if self._rules is None:
            self._rules = rules_of(await step.dependency_data("prepare", str))
        if not self._rules.can_fetch(USER_AGENT, url):
            raise Permanent("robots", "robots.txt does not allow it")

    async def _map(self, step: StepContext) -> SiteMap:
        return SiteMap(await step.projection(MAP))


def plan(run: RunBuilder, job: Job) -> None:
    """Where a crawl begins. Its start page is the one that must not fail."""
    run.metadata("start", job.start)
    rendered = [
        run.step(f"render:{number}", modules, kind="site/render", queue="render")
        for number, modules in enumerate(job.render, start=1)
    ]
    prepared = run.step(
        "prepare", job.start, kind="crawl/prepare", queue="fetch", retry=AGAIN, depends_on=require(rendered)
    )
    run.step(
        f"fetch:{key_of(job.start)}",
        Wanted(job.start, 0),
        kind="crawl/fetch",
        queue="fetch",
        dedup_key=key_of(job.start),
        retry=AGAIN,
        timeout=PATIENCE,
        depends_on=require(prepared),
    )


def rules_of(text: str) -> RobotFileParser:
    """What a robots.txt says."""
    rules = RobotFileParser()
    rules.parse(text.splitlines())
    return rules
