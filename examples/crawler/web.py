"""The report as one HTML file that needs no other."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from crawler.addresses import short_name
from crawler.report import BrokenLink, LinkedPage, Report, TermCount

STYLE = Path(__file__).with_name("report.css").read_text()
CAPTION = (
    "The pages with the most links among each other, related ones side by side in one colour. A larger dot "
    "has more links leading to it; a line has the colour of the page it comes from. Point at a page to see "
    "where it leads."
)


def web_page(report: Report, picture: str) -> str:
    """All that the report tells. picture: an SVG element."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Crawl of {escape(report.start)}</title>
<style>
{STYLE}</style>
</head>
<body>
<h1>What the crawl has found</h1>
<p class="where">{escape(report.start)}</p>
{_facts(report)}
<figure>
<h2>Which pages link to which</h2>
{picture}
<figcaption>{CAPTION}</figcaption>
</figure>
<div class="columns">
{_section("Most linked pages", _most_linked(report.most_linked))}
{_section("Most frequent terms", _terms(report.top_terms))}
</div>
{_section("Broken links", _broken(report.broken, report.broken_pages))}
<footer>Written by examples/worker.py, a program on trio_workflow.</footer>
</body>
</html>
"""


def _facts(report: Report) -> str:
    facts = [
        ("pages asked for", f"{report.asked:,}", ""),
        ("pages read", f"{report.read:,}", ""),
        ("broken", f"{report.broken_pages:,}", "bad" if report.broken_pages else ""),
        ("asked for more than once", f"{report.again:,}", ""),
        ("links within the site", f"{report.links:,}", ""),
        ("different words", f"{report.terms:,}", ""),
        ("megabytes", f"{report.bytes / 1e6:,.1f}", ""),
        ("first to last request", _duration(report.seconds), ""),
    ]
    items = (f'<div class="{css}"><dt>{name}</dt><dd>{value}</dd></div>' for name, value, css in facts)
    return f'<dl class="facts">{"".join(items)}</dl>'


def _most_linked(pages: list[LinkedPage]) -> str:
    most = max((page.links_in for page in pages), default=1)
    rows = (_row(_link(page.url), _number(page.links_in), _bar(page.links_in / most)) for page in pages)
    return _table(["Page", "#Links to it", ""], rows)


def _terms(terms: list[TermCount]) -> str:
    most = max((term.count for term in terms), default=1)
    rows = (
        _row(
            f"<td>{escape(term.term)}</td>", _number(term.count), _number(term.pages), _bar(term.count / most)
        )
        for term in terms[:20]
    )
    return _table(["Term", "#Times", "#Pages", ""], rows)


def _broken(links: list[BrokenLink], total: int) -> str:
    rows = (
        _row(
            _link(link.url),
            f"<td><code>{escape(link.code)}</code></td>",
            _number(link.links_in),
            f"<td>{', '.join(escape(short_name(source)) for source in link.sources)}</td>",
        )
        for link in links
    )
    more = f'<p class="none">and {total - len(links)} more</p>' if total > len(links) else ""
    return _table(["Page", "Why", "#Links to it", "Linked from"], rows) + more


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _table(heads: list[str], rows: Iterable[str]) -> str:
    """A head that begins with # is one of numbers."""
    body = "".join(rows)
    if not body:
        return '<p class="none">None.</p>'
    cells = (f'<th class="number">{h[1:]}</th>' if h.startswith("#") else f"<th>{h}</th>" for h in heads)
    return f"<table><thead><tr>{''.join(cells)}</tr></thead><tbody>{body}</tbody></table>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>\n"


def _link(url: str) -> str:
    return f'<td><a href="{escape(url)}">{escape(short_name(url))}</a></td>'


def _number(number: int) -> str:
    return f'<td class="number">{number:,}</td>'


def _bar(part: float) -> str:
    return f'<td class="bar"><i style="width: {max(part, 0.01):.1%}"></i></td>'


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{rest:.1f} s" if not minutes else f"{minutes:.0f} min {rest:.0f} s"
