"""A page's bytes as title, links and words."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import attrs

from crawler.addresses import normalise

TERMS = 300
"""Words that are kept of one page: its most frequent ones."""

SILENT = {"script", "style", "template"}
WORD = re.compile(r"(?<![^\W_])[^\W\d_]{3,}(?![^\W_])")  # letters only, also those beside an underscore
CHARSET = re.compile(rb"""<meta[^>]+charset=["']?([\w-]+)""", re.IGNORECASE)
COMMON = frozenset(Path(__file__).with_name("common_words.txt").read_text().split())


@attrs.frozen(kw_only=True)
class Content:
    """What a page says. links: where it leads, each once, of any host. terms: its words and how often."""

    title: str
    links: tuple[str, ...]
    words: int
    terms: dict[str, int]


def read_page(body: bytes, charset: str | None, url: str) -> Content:
    """Read a page. It never fails: HTML that is broken yields what can be understood."""
    reader = _Reader(url)
    reader.feed(_text(body, charset))
    reader.close()
    words = [word.lower() for word in WORD.findall(" ".join(reader.texts))]
    terms = Counter(word for word in words if word not in COMMON)
    return Content(
        title=" ".join("".join(reader.title).split())[:300],
        links=tuple(reader.links),
        words=len(words),
        terms=dict(terms.most_common(TERMS)),
    )


def _text(body: bytes, charset: str | None) -> str:
    """The answer's charset counts, else the one the page names near its head, else UTF-8."""
    named = CHARSET.search(body[:2048])
    chosen = charset or (named[1].decode("ascii") if named else "utf-8")
    try:
        return body.decode(chosen, errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


class _Reader(HTMLParser):
    """Gathers what `read_page` needs. links is a dict for its order."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.texts: list[str] = []
        self.links: dict[str, None] = {}
        self._base = url
        self._inside: str | None = None  # the title, or an element whose text nobody sees

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag in SILENT or tag == "title":
            self._inside = tag
        elif tag == "base" and href:
            self._base = normalise(href, self._base) or self._base
        elif tag in ("a", "area") and href and (url := normalise(href, self._base)):
            self.links[url] = None

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title.append(data)
        elif self._inside is None:
            self.texts.append(data)
