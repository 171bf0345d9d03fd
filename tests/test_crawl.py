"""The crawler of examples/worker.py on a small site, in this process."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio
from crawler.crawl import Crawler, Job, rules_of
from crawler.report import BrokenLink, Report, TermCount
from crawler.reporting import report as report_package
from crawler.sitemap import SiteMap
from crawler_kit import HOME, config
from worker import crawl_and_report, start_or_go_on

from trio_workflow import FileArtifactStore, RunStatus, Runtime, open_runtime

PAGES = {
    "/": httpx.Response(
        200,
        html="<title>Home</title><a href=/a>a</a><a href=/b>b</a><a href=/gone>gone</a><a href=/secret>no</a>"
        "<a href=/big>big</a><a href=/data.json>data</a>"
        "<a href=http://other.test/>away</a><a href=/old>old</a>",
    ),
    "/a": httpx.Response(200, html="<title>A</title>parrot <a href=/b>b</a><a href=/gone>gone</a>"),
    "/b": httpx.Response(200, html="<title>B</title>parrot parrot<a href=/>home</a><a href=/c>c</a>"),
    "/c": httpx.Response(200, html="<title>C</title>"),
    "/old": httpx.Response(302, headers={"location": "/c#here"}),
    "/big": httpx.Response(200, html="x" * 5000),
    "/data.json": httpx.Response(200, json={}),
}


class Site:
    """Answers from PAGES, except that /b is busy at first; asked: each request's path."""

    def __init__(self, robots: str = "User-agent: *\nDisallow: /secret\n") -> None:
        self.asked: list[str] = []
        self.pages = {**PAGES, "/robots.txt": httpx.Response(200, text=robots)}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "site.test"
        path = request.url.path
        self.asked.append(path)
        if path == "/b" and self.asked.count("/b") == 1:
            return httpx.Response(503, headers={"retry-after": "0"})
        found = self.pages.get(path, httpx.Response(404))
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)


@asynccontextmanager
async def crawling(state: Path, answers: Site, max_pages: int = 100) -> AsyncIterator[Runtime]:
    """A runtime with workers and both packages, on a site that exists only here."""
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answers)) as client,
        open_runtime(config(state)) as rt,
        trio.open_nursery() as nursery,
    ):
        crawler = Crawler(
            job=Job(start=HOME, max_pages=max_pages, render=[]),
            client=client,
            artifacts=FileArtifactStore(state / "artifacts"),
            rate=5.0,
            max_bytes=4000,
            folder=state / "site",
        )
        rt.register_package(crawler.package())
        rt.register_package(report_package)
        await nursery.start(rt.start_workers)
        yield rt
        nursery.cancel_scope.cancel()


async def crawl(state: Path, answers: Site, max_pages: int = 100) -> Report:
    async with crawling(state, answers, max_pages) as rt:
        run = await start_or_go_on(rt, "crawl", Job(start=HOME, max_pages=max_pages, render=[]))
        found = await crawl_and_report(rt, run, HOME)
        assert await rt.check() == []
    assert found is not None
    return found


async def test_a_crawl_finds_the_pages_of_a_site_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    answers = Site()
    found = await crawl(tmp_path, answers)
    assert (found.asked, found.read, found.broken_pages, found.withheld, found.again) == (9, 4, 2, 1, 1)
    assert found.broken == [
        BrokenLink(url=f"{HOME}gone", code="http_404", links_in=2, sources=[HOME, f"{HOME}a"]),
        BrokenLink(url=f"{HOME}big", code="too_large", links_in=1, sources=[HOME]),
    ]
    assert [(page.title, page.links_in) for page in found.most_linked if page.links_in > 1] == [
        ("B", 2),
        ("C", 2),
        ("", 2),
    ]
    assert found.top_terms[0] == TermCount(term="parrot", count=3, pages=2)
    assert Counter(answers.asked) == Counter([*PAGES, "/robots.txt", "/gone", "/b"])


async def test_a_crawl_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = await crawl(tmp_path, Site())
    answers = Site()
    assert await crawl(tmp_path, answers) == first
    assert answers.asked == []


async def test_no_more_pages_are_asked_for_than_allowed(tmp_path: Path) -> None:
    answers = Site()
    found = await crawl(tmp_path, answers, max_pages=3)
    assert found.asked == 3
    assert len(set(answers.asked)) == 3 + len(["/robots.txt"])


async def test_robots_that_ask_for_more_patience_than_we_have_end_the_crawl(tmp_path: Path) -> None:
    async with crawling(tmp_path, Site(robots="User-agent: *\nCrawl-delay: 2\n")) as rt:
        run = await start_or_go_on(rt, "crawl", Job(start=HOME, max_pages=9, render=[]))
        ended = await run.wait()
        step = await rt.step("crawl", "prepare")
    assert ended.status is RunStatus.FAILED
    assert step is not None
    assert step.error is not None
    assert (step.error.code, "--rate 0.5" in step.error.message) == ("too_fast", True)


def test_rules_of_a_site_without_robots_allow_all() -> None:
    assert rules_of("").can_fetch("us", f"{HOME}x")


async def test_a_page_that_was_admitted_stays_so_when_the_map_is_full(tmp_path: Path) -> None:
    async with open_runtime(config(tmp_path)) as rt:
        site_map = SiteMap(await rt.projection("sitemap"))
        await site_map.create()
        assert await site_map.admit(["a", "b", "c"], 0, 2) == ["a", "b"]
        assert await site_map.admit(["d", "b"], 1, 2) == ["b"]
