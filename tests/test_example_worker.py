"""examples/worker.py: its parts, a crawl of a small site, and real processes that are stopped and killed."""

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from trio_workflow import (
    Config,
    FileArtifactStore,
    Permanent,
    QueueConfig,
    Retryable,
    RunStatus,
    Runtime,
    SQLiteProjectionStore,
    SQLiteStore,
    StepFailure,
    open_runtime,
)

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

from crawler import site  # noqa: E402 - the examples are programs, found through the path
from crawler.addresses import LONGEST, key_of, normalise, short_name  # noqa: E402
from crawler.crawl import Crawler, Job, rules_of  # noqa: E402
from crawler.options import read_options  # noqa: E402
from crawler.pages import ask, failure_of, retry_after  # noqa: E402
from crawler.parsing import read_page  # noqa: E402
from crawler.picture import draw_links  # noqa: E402
from crawler.report import BrokenLink, LinkedPage, Report, TermCount  # noqa: E402
from crawler.reporting import report as report_package  # noqa: E402
from crawler.sitemap import PageRow, SiteMap  # noqa: E402
from crawler.web import web_page  # noqa: E402
from worker import crawl_and_report, start_or_go_on  # noqa: E402

HOME = "http://site.test/"

# Addresses


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("os.html", "http://site.test/lib/os.html"),
        ("os.html#open", "http://site.test/lib/os.html"),
        ("#top", "http://site.test/lib/"),
        ("/a/../b", "http://site.test/b"),
        ("HTTP://Site.TEST:80/x", "http://site.test/x"),
        ("https://site.test:8443", "https://site.test:8443/"),
        ("http://[::1]:80/x", "http://[::1]/x"),
        (" ?q=a b ", "http://site.test/lib/?q=a%20b"),
        ("/caf\u00e9?x=%41", "http://site.test/caf%C3%A9?x=%41"),
        ("mailto:me@site.test", None),
        ("file:/etc/passwd", None),
        ("javascript:void(0)", None),
        ("http://user@site.test/", None),
        ("http://site.test:port/", None),
        ("http://[half", None),
        ("/" + "x" * LONGEST, None),
    ],
)
def test_a_link_leads_to_one_way_of_writing_its_url_or_to_no_page(href: str, url: str | None) -> None:
    assert normalise(href, "http://site.test/lib/") == url


def test_a_long_url_has_a_key_that_fits_and_differs_from_that_of_its_neighbour() -> None:
    first, second = (f"{HOME}{'x' * 400}{end}" for end in "ab")
    assert len(key_of(first)) < 250
    assert key_of(first) != key_of(second)
    assert key_of(HOME) == HOME


def test_a_page_is_called_by_its_path() -> None:
    assert [short_name(url) for url in (HOME, f"{HOME}os.html", f"{HOME}a/b/?q=1")] == [
        "site.test",
        "os",
        "a/b",
    ]


# Pages


def test_a_page_is_read_as_title_links_and_words() -> None:
    body = b"""<html><head><title> A &amp; B
        </title><script>var hidden = "<a href=no>"</script><style>hidden</style></head>
        <body><a href="x.html#1">Parrot parrot</a><a HREF=x.html>the x86 my_parrot</a><a>no</a>
        <a href="mailto:m@x">mail</a><area href="http://other.test"></body>"""
    content = read_page(body, None, HOME)
    assert content.title == "A & B"
    assert content.links == (f"{HOME}x.html", "http://other.test/")
    assert content.terms == {"parrot": 3, "mail": 1}
    assert content.words == 5


def test_links_are_relative_to_the_base_that_a_page_names() -> None:
    assert read_page(b'<base href="/deep/"><a href=x>', None, HOME).links == (f"{HOME}deep/x",)


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("caf\u00e9".encode("latin-1"), "latin-1"),
        (b'<meta charset="latin-1">' + "caf\u00e9".encode("latin-1"), None),
        ("caf\u00e9".encode(), "no-such-charset"),
    ],
)
def test_text_is_decoded_by_the_charset_that_is_named(body: bytes, charset: str | None) -> None:
    assert read_page(body, charset, HOME).terms == {"caf\u00e9": 1}


def test_broken_html_is_read_as_far_as_it_goes() -> None:
    content = read_page(b"<title>half<p <a href=x>word \xff</tit", None, HOME)
    assert content.links in ((), (f"{HOME}x",))


# Requests


def answer(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, type(None)),
        (301, type(None)),
        (404, Permanent),
        (410, Permanent),
        (401, Permanent),
        (304, Permanent),
        (408, Retryable),
        (429, Retryable),
        (500, Retryable),
        (503, Retryable),
        (599, Retryable),
    ],
)
def test_a_status_means_a_page_or_later_or_never(status: int, kind: type) -> None:
    response = answer(status, location="/x") if status == 301 else answer(status)
    failure = failure_of(response)
    assert type(failure) is kind
    assert failure is None or failure.code == f"http_{status}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("999999", 600.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 600.0),
        ("Fri, 31 Dec 2100 23:59:59 -0000", 600.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_reason(text: str, seconds: float | None) -> None:
    response = answer(503, retry_after=text)
    assert retry_after(response) == seconds
    failure = failure_of(response)
    assert isinstance(failure, Retryable)
    assert failure.delay == seconds


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def handle(request: httpx.Request) -> httpx.Response:
        raise error

    return handle


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (httpx.ReadTimeout("slow"), "timeout", Retryable),
        (httpx.PoolTimeout("busy"), "timeout", Retryable),
        (httpx.ConnectError("refused"), "no_connection", Retryable),
        (httpx.RemoteProtocolError("half"), "no_connection", Retryable),
        (httpx.DecodingError("not gzip"), "bad_answer", Permanent),
        (httpx.TooManyRedirects("round"), "bad_answer", Permanent),
        (httpx.InvalidURL("odd"), "bad_answer", Permanent),
    ],
)
async def test_a_request_that_fails_says_whether_to_ask_again(
    error: Exception, code: str, kind: type[StepFailure]
) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(raising(error))) as client:
        with pytest.raises(kind) as caught:
            await ask(client, HOME, most=100)
    assert caught.value.code == code
    assert caught.value.cause is error


async def test_a_page_larger_than_allowed_is_left_and_one_as_large_is_read() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, html="x" * 100))
    async with httpx.AsyncClient(transport=transport) as client:
        assert (await ask(client, HOME, most=100)).body == b"x" * 100
        with pytest.raises(Permanent, match="too_large"):
            await ask(client, HOME, most=99)


async def test_only_the_wanted_type_is_read() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={}))
    async with httpx.AsyncClient(transport=transport) as client:
        found = await ask(client, HOME, most=100, type_wanted="text/html")
    assert (found.body, found.content_type) == (None, "application/json")


# The report


def report(**changes: object) -> Report:
    facts: dict[str, object] = {
        "start": HOME,
        "asked": 3,
        "read": 2,
        "withheld": 0,
        "again": 1,
        "bytes": 2_000_000,
        "words": 10,
        "terms": 5,
        "links": 4,
        "broken_pages": 1,
        "seconds": 61.5,
        "broken": [BrokenLink(url=f"{HOME}<b>", code="http_404", links_in=2, sources=[HOME])],
        "most_linked": [LinkedPage(url=f"{HOME}os.html", title="<os>", links_in=2)],
        "top_terms": [TermCount(term="parrot", count=3, pages=1)],
    }
    return Report(**{**facts, **changes})  # type: ignore[arg-type]


def row(name: str, links_in: int = 0, depth: int = 1) -> PageRow:
    return PageRow(
        url=f"{HOME}{name}",
        depth=depth,
        asked_at="2024-01-01T00:00:00+00:00",
        seconds=0.1,
        attempts=1,
        status=200,
        problem=None,
        content_type="text/html",
        bytes=1,
        title=name,
        words=1,
        links_in=links_in,
    )


def test_the_web_page_tells_all_and_escapes_what_it_is_told() -> None:
    text = web_page(report(), "<svg></svg>")
    assert "http_404" in text
    assert "1 min 2 s" in text
    assert "&lt;b&gt;" in text
    assert f"{HOME}<b>" not in text
    assert "<script" not in text
    assert "url(" not in text


def test_the_web_page_of_a_crawl_that_found_nothing_says_so() -> None:
    text = web_page(report(broken=[], broken_pages=0, most_linked=[], top_terms=[]), draw_links([], []))
    assert text.count("None.") == 3


def test_the_picture_shows_linked_pages_without_the_start_page() -> None:
    pages = [row("", depth=0), row("os.html", 2), row("io.html", 1), row("alone.html")]
    links = [
        (f"{HOME}{a}", f"{HOME}{b}")
        for a, b in [("", "os.html"), ("os.html", "io.html"), ("io.html", "os.html")]
    ]
    picture = draw_links(pages, links)
    assert picture.count("<circle") == 2
    assert picture.count("<path") == 2
    assert ">os</text>" in picture
    assert "site.test" not in picture


# The command line


def test_a_site_of_others_is_asked_slowly_and_our_own_fast() -> None:
    ours, others = read_options([]), read_options(["--url", "example.org/x".join(["http://", ""])])
    assert (ours.job.start, ours.rate, len(ours.job.render)) == (site.START, 50.0, site.PARTS)
    assert (others.job.start, others.rate, others.job.render) == ("http://example.org/x", 2.0, [])


@pytest.mark.parametrize(
    "args", [["--url", "ftp://x"], ["--rate", "0"], ["--max-pages", "1.5"], ["--rate", "nan"]]
)
def test_a_mistake_in_the_command_is_told(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_options(args)
    assert caught.value.code == 2
    assert args[1] in capsys.readouterr().err


# A crawl of a small site, in this process

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


def config(state: Path) -> Config:
    return Config(
        store=SQLiteStore(state / "engine.db"),
        artifact_store=FileArtifactStore(state / "artifacts"),
        projection_store=SQLiteProjectionStore(state / "projections"),
        max_workers=8,
        default_queue=QueueConfig(max_workers=4),
    )


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


# Real processes. Stub pages spare them most of the rendering.


def write_stubs(state: Path, but: int = 0) -> None:
    """A page for each module but the first few, that links to the next three."""
    folder = state / site.HOST
    folder.mkdir(parents=True)
    for number, name in enumerate(site.MODULES):
        links = "".join(
            f'<a href="{other}.html">{other}</a>' for other in site.MODULES[number + 1 : number + 4]
        )
        if number >= but:
            (folder / f"{name}.html").write_text(f"<title>{name}</title>{links}")


class Worker:
    """A process of the example. text: what it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.text = ""

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for chunk in self.process.stdout:
            self.text += chunk.decode()

    @property
    def asked_for(self) -> int:
        """What the report on the screen says."""
        found = re.search(r"Pages asked for +(\d+)", self.text)
        return int(found[1]) if found else -1

    @property
    def report(self) -> str:
        """The report on the screen."""
        return self.text.partition("Crawl of")[2]

    async def wait(self) -> int:
        with trio.fail_after(60):
            return await self.process.wait()


@asynccontextmanager
async def started(state: Path, *args: str) -> AsyncIterator[Worker]:
    command = [sys.executable, str(EXAMPLES / "worker.py"), "--state", str(state), "--lease", "2", *args]
    run = partial(trio.run_process, command, stdout=-1, stderr=-2, check=False)
    async with trio.open_nursery() as nursery:
        worker = Worker(await nursery.start(run))
        nursery.start_soon(worker.listen)
        try:
            yield worker
        finally:
            if worker.process.returncode is None and sys.exc_info()[0]:
                worker.process.kill()


async def run_to_the_end(state: Path, *args: str) -> Worker:
    async with started(state, *args) as worker:
        await worker.wait()
    return worker


def pages_served(state: Path) -> Counter[str]:
    """How often each page was answered with 200, by what the sites' servers wrote down."""
    log = state / "access.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.split()[1] for line in lines if line.startswith("200 "))


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    while not await is_so():  # noqa: ASYNC110 - it is another process that we wait for
        await trio.sleep(0.01)


async def until_served(state: Path, pages: int) -> None:
    async def are_served() -> bool:
        return len(pages_served(state)) >= pages

    with trio.fail_after(60):
        await until(are_served)


async def attempts_of(state: Path) -> dict[str, list[tuple[str, str]]]:
    """Of each step of the crawl, worker and outcome of its attempts; the store is found to be sound."""
    async with open_runtime(config(state)) as rt:
        assert await rt.check() == []
        steps = [step.id for step in await rt.steps("crawl")]
        results = {step: await rt.result("crawl", step) for step in steps}
    return {
        step: [(a.worker_id, str(a.outcome)) for a in result.attempts]
        for step, result in results.items()
        if result is not None
    }


async def have_all_worked(state: Path, ids: set[str]) -> bool:
    if not pages_served(state):
        return False
    return ids <= {worker for ended in (await attempts_of(state)).values() for worker, _ in ended}


async def is_any_lease_lost(state: Path) -> bool:
    return any(lost_of(await attempts_of(state)).values())


def lost_of(attempts: dict[str, list[tuple[str, str]]]) -> dict[str, int]:
    """How often each page's fetch lost its lease."""
    return {
        step.partition(site.HOST)[2]: sum(outcome == "lease_lost" for _, outcome in ended)
        for step, ended in attempts.items()
        if step.startswith("fetch:")
    }


async def test_the_documentation_is_crawled_and_the_report_is_shown_again_at_once(tmp_path: Path) -> None:
    write_stubs(tmp_path, but=20)
    first = await run_to_the_end(tmp_path, "--max-pages", "15")
    assert first.process.returncode == 0, first.text
    assert first.asked_for == 15
    assert "Python: package asyncio" in first.text
    served = pages_served(tmp_path)
    page = tmp_path / "report.html"
    assert "<svg" in page.read_text()

    page.unlink()
    second = await run_to_the_end(tmp_path, "--max-pages", "15")
    assert second.process.returncode == 0
    assert second.report == first.report
    assert page.exists()
    assert pages_served(tmp_path) == served

    other = await run_to_the_end(tmp_path, "--max-pages", "16")
    assert other.process.returncode == 2
    assert "holds another crawl" in other.text

    fresh = await run_to_the_end(tmp_path, "--max-pages", "3", "--fresh")
    assert fresh.process.returncode == 0, fresh.text
    assert fresh.asked_for == 3


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_steps_end_and_the_next_start_goes_on(
    tmp_path: Path, signum: int
) -> None:
    write_stubs(tmp_path)
    args = ("--max-pages", "60", "--rate", "40")
    async with started(tmp_path, *args) as worker:
        await until_served(tmp_path, 10)
        worker.process.send_signal(signum)
        assert await worker.wait() == 128 + signum
    assert "Stopped." in worker.text
    assert 10 <= len(pages_served(tmp_path)) < 60
    attempts = await attempts_of(tmp_path)
    assert {outcome for ended in attempts.values() for _, outcome in ended} <= {
        "succeeded",
        "retried",
        "failed",
        "released",  # claimed when the signal came, and not started
    }

    again = await run_to_the_end(tmp_path, *args)
    assert again.process.returncode == 0, again.text
    assert max(pages_served(tmp_path).values()) == 1


async def test_a_worker_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    write_stubs(tmp_path)
    args = ("--max-pages", "80", "--rate", "40")
    async with started(tmp_path, *args) as worker:
        await until_served(tmp_path, 20)
        worker.process.kill()
        assert await worker.wait() == -signal.SIGKILL
    before = pages_served(tmp_path)
    assert len(before) < 70

    again = await run_to_the_end(tmp_path, *args)
    assert again.process.returncode == 0, again.text
    assert again.asked_for == 80
    lost = lost_of(await attempts_of(tmp_path))
    served = pages_served(tmp_path)
    assert {page: n for page, n in served.items() if n > 1 + lost.get(page, 0)} == {}
    assert sum(lost.values()) <= 8


async def test_two_workers_share_a_crawl_though_one_is_stopped_past_its_lease(tmp_path: Path) -> None:
    write_stubs(tmp_path)
    args = ("--max-pages", "120", "--rate", "40")
    async with started(tmp_path, *args) as one, started(tmp_path, *args) as other:
        ids = {f"crawler-{worker.process.pid}" for worker in (one, other)}
        with trio.fail_after(60):
            await until(partial(have_all_worked, tmp_path, ids))
        os.kill(one.process.pid, signal.SIGSTOP)
        # Until what it was doing has been taken up. Stopped in the middle of a write, it holds up all others.
        with trio.move_on_after(4):
            await until(partial(is_any_lease_lost, tmp_path))
        os.kill(one.process.pid, signal.SIGCONT)
        assert (await one.wait(), await other.wait()) == (0, 0)
    assert one.report == other.report != ""
    lost = lost_of(await attempts_of(tmp_path))
    assert {page: n for page, n in pages_served(tmp_path).items() if n > 1 + lost.get(page, 0)} == {}
