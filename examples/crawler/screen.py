"""The report on the screen."""

from rich.console import Console
from rich.table import Table

from crawler.addresses import short_name
from crawler.report import Report

ROWS = 10


def print_report(console: Console, report: Report) -> None:
    """Tables on a terminal, the same as plain columns elsewhere."""
    console.print()
    console.print(_summary(report))
    if report.broken:
        console.print(_broken(report))
    console.print(_most_linked(report))
    console.print(_terms(report))


def _table(title: str, *columns: str) -> Table:
    """The first column is for names, the others are for numbers and what explains them."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column.islower() else "left", overflow="fold")
    return table


def _summary(report: Report) -> Table:
    table = Table(title=f"Crawl of {report.start}", title_justify="left", box=None, show_header=False)
    facts = {
        "Pages asked for": f"{report.asked}",
        "Pages read": f"{report.read}",
        "Broken pages": f"{report.broken_pages}",
        "Kept from us by robots.txt": f"{report.withheld}",
        "Asked for more than once": f"{report.again}",
        "Links within the site": f"{report.links}",
        "Bytes": f"{report.bytes}",
        "Words": f"{report.words}, {report.terms} different ones",
        "Seconds": f"{report.seconds:.1f}",
    }
    for name, value in facts.items():
        table.add_row(name, value)
    return table


def _broken(report: Report) -> Table:
    more = f" (the first {ROWS} of {report.broken_pages})" if report.broken_pages > ROWS else ""
    table = _table(f"Broken links{more}", "Page", "Why", "links", "Linked from")
    for link in report.broken[:ROWS]:
        sources = ", ".join(short_name(source) for source in link.sources)
        table.add_row(short_name(link.url), link.code, str(link.links_in), sources)
    return table


def _most_linked(report: Report) -> Table:
    table = _table("Most linked pages", "Page", "links", "Title")
    for page in report.most_linked[:ROWS]:
        table.add_row(short_name(page.url), str(page.links_in), page.title)
    return table


def _terms(report: Report) -> Table:
    table = _table("Most frequent terms", "Term", "times", "pages")
    for term in report.top_terms[:ROWS]:
        table.add_row(term.term, str(term.count), str(term.pages))
    return table
