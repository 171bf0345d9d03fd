"""The parts of the crawler that examples/worker.py runs, each alone."""

from collections.abc import Callable

import httpx
import pytest
from crawler import site
from crawler.addresses import LONGEST, key_of, normalise, short_name
from crawler.options import read_options
from crawler.pages import ask, failure_of, retry_after
from crawler.parsing import read_page
from crawler.picture import draw_links
from crawler.report import BrokenLink, LinkedPage, Report, TermCount
from crawler.sitemap import PageRow
from crawler.web import web_page
from crawler_kit import HOME

from trio_workflow import Permanent, Retryable, StepFailure

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
    return Report(**{**facts, **changes})  # type: ignore[arg-type]  # a dict of several types


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
