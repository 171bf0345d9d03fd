"""The report of a crawl, as a value."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import attrs

from crawler.sitemap import PageRow

BROKEN = 200
LINKED = 20
TERMS = 30
"""How many of each the report tells."""


@attrs.frozen(kw_only=True)
class TermCount:
    """A word, how often it stands on the site, and on how many pages."""

    term: str
    count: int
    pages: int


@attrs.frozen(kw_only=True)
class BrokenLink:
    """A page that others link to and that is not there. code: why. sources: some of those others."""

    url: str
    code: str
    links_in: int
    sources: list[str]


@attrs.frozen(kw_only=True)
class LinkedPage:
    """A page and how many others link to it."""

    url: str
    title: str
    links_in: int


@attrs.frozen(kw_only=True)
class Report:
    """What a crawl has found. asked: pages that were asked for; read: HTML pages that came back.

    again: pages that took more than one attempt. withheld: pages that robots.txt does not allow.
    """

    start: str
    asked: int
    read: int
    withheld: int
    again: int
    bytes: int
    words: int
    terms: int
    links: int
    broken_pages: int
    seconds: float
    broken: list[BrokenLink]
    most_linked: list[LinkedPage]
    top_terms: list[TermCount]


def top_terms(index: Mapping[str, list[tuple[str, int]]]) -> list[TermCount]:
    """The words that stand most often on the site's pages."""
    totals = Counter({term: sum(count for _, count in pages) for term, pages in index.items()})
    ranked = sorted(totals.items(), key=lambda found: (-found[1], found[0]))
    return [TermCount(term=term, count=n, pages=len(index[term])) for term, n in ranked[:TERMS]]


def is_broken(page: PageRow) -> bool:
    """Whether it was asked for in vain. Being kept away by robots.txt is not a fault of the link."""
    return page.problem not in (None, "robots")


def make_report(
    start: str, pages: list[PageRow], links: int, broken: list[BrokenLink], terms: int, top: list[TermCount]
) -> Report:
    """Join what is known."""
    return Report(
        start=start,
        asked=sum(page.asked_at is not None for page in pages),
        read=sum(page.words is not None for page in pages),
        withheld=sum(page.problem == "robots" for page in pages),
        again=sum((page.attempts or 0) > 1 for page in pages),
        bytes=sum(page.bytes or 0 for page in pages),
        words=sum(page.words or 0 for page in pages),
        terms=terms,
        links=links,
        broken_pages=sum(map(is_broken, pages)),
        seconds=_seconds(pages),
        broken=broken,
        most_linked=[
            LinkedPage(url=page.url, title=page.title or "", links_in=page.links_in)
            for page in pages[:LINKED]
            if page.links_in
        ],
        top_terms=top,
    )


def _seconds(pages: list[PageRow]) -> float:
    """From the first request to the last."""
    times = [datetime.fromisoformat(page.asked_at) for page in pages if page.asked_at is not None]
    return (max(times) - min(times)).total_seconds() if times else 0.0
