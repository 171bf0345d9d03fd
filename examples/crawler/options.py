"""The command line."""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from crawler import site
from crawler.addresses import normalise
from crawler.crawl import Job

EPILOG = """
Stop it with Ctrl-C, or kill it: started again with the same --state it goes on where it was. Several of them
may work on one --state at once. The exit status is 0 when the report is there, 1 when the crawl failed, 2 for
a mistake in the command, 128 + the signal's number when it was stopped.
"""


@attrs.frozen(kw_only=True)
class Options:
    """url: None for the Python documentation."""

    url: str | None
    max_pages: int
    state: Path
    rate: float
    concurrency: int
    max_bytes: int
    lease: float
    fresh: bool
    plain: bool

    @property
    def job(self) -> Job:
        """What is to be crawled."""
        if self.url is not None:
            return Job(start=self.url, max_pages=self.max_pages, render=[])
        return Job(start=site.START, max_pages=self.max_pages, render=site.parts())


def read_options(args: Sequence[str]) -> Options:
    """What the user asks for. Ends the program with a message for a mistake."""
    found = _parser().parse_args(args)
    is_local = found.url is None
    return Options(
        url=found.url,
        max_pages=found.max_pages or (1000 if is_local else 200),
        state=found.state,
        rate=found.rate or (50.0 if is_local else 2.0),
        concurrency=found.concurrency or (8 if is_local else 2),
        max_bytes=found.max_bytes,
        lease=found.lease,
        fresh=found.fresh,
        plain=found.plain,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="worker.py",
        description="A polite site crawler and indexer. Without arguments it crawls the documentation of the "
        "running Python, which it serves to itself.",
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--url", type=_url, help="where to start; it stays on this host (default: Python's documentation)")
    add("--max-pages", type=_whole, metavar="N", help="ask for at most N pages (1000; 200 with --url)")
    add(
        "--state", type=Path, default=Path("var/crawl"), metavar="DIR", help="where all is kept (%(default)s)"
    )
    add("--rate", type=_positive, metavar="R", help="requests a second, at most (50; 2 with --url)")
    add("--concurrency", type=_whole, metavar="N", help="requests at once, at most (8; 2 with --url)")
    add(
        "--max-bytes",
        type=_whole,
        default=2 * 1024**2,
        metavar="N",
        help="larger pages are left (%(default)s)",
    )
    add(
        "--lease",
        type=_positive,
        default=5.0,
        metavar="S",
        help="what a killed worker was doing is taken up after S seconds (%(default)s)",
    )
    add("--fresh", action="store_true", help="forget the crawl that is in --state, and start over")
    add("--plain", action="store_true", help="lines instead of a progress bar, also on a terminal")
    return parser


def _url(text: str) -> str:
    url = normalise(text, "")
    if url is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no http or https URL")
    return url


def _number(convert: Callable[[str], float], text: str, what: str) -> float:
    try:
        number = convert(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what} above 0")
    return number


def _whole(text: str) -> int:
    return int(_number(int, text, "whole number"))


def _positive(text: str) -> float:
    return _number(float, text, "number")
