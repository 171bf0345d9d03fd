"""The package "report": joins everything that a crawl has found.

    index ──▶ report

A run of its own, started when the crawl's run has ended. The crawl's graph grows while it runs: no step of it
could name all the others as its dependencies, and the end of the run is the one moment that means "all". Who
starts it does not matter: it has a fixed id, and starting it again answers the run that is there.
"""

import json

import attrs

from crawler.crawl import MAP
from crawler.picture import draw_links
from crawler.report import BROKEN, BrokenLink, Report, TermCount, is_broken, make_report, top_terms
from crawler.sitemap import SiteMap
from crawler.web import web_page
from trio_workflow import Package, RunBuilder, StepContext, require

report = Package("report", display_name="Report of the crawl")
SOURCES = 3
"""Pages named for each broken link."""


@attrs.frozen
class Index:
    """The index that was stored as index.json: its size, and its largest entries."""

    terms: int
    top: list[TermCount]


@report.entrypoint
def plan(run: RunBuilder, start: str) -> None:
    """start: of the crawl."""
    index = run.step("index", kind="report/index", queue="report")
    run.step("report", start, kind="report/join", queue="report", depends_on=require(index))


@report.executor("report/index")
async def build_index(step: StepContext) -> Index:
    """Store which words stand on which pages."""
    index = await SiteMap(await step.projection(MAP)).index()
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    await step.store_artifact("index.json", "application/json", text.encode())
    return Index(len(index), top_terms(index))


@report.executor("report/join")
async def join(step: StepContext, start: str) -> Report:
    """Put all together; the web page is an artifact, what it says is the result."""
    index: Index = await step.dependency_data("index", Index)
    site_map = SiteMap(await step.projection(MAP))
    pages, links = await site_map.pages(), await site_map.links()
    broken = await broken_links(site_map)
    made = make_report(start, pages, len(links), broken, index.terms, index.top)
    body = web_page(made, draw_links(pages, links))
    await step.store_artifact("report.html", "text/html; charset=utf-8", body.encode())
    return made


async def broken_links(site_map: SiteMap) -> list[BrokenLink]:
    """Pages that were asked for in vain, and who links to them."""
    lost = [page for page in await site_map.pages() if is_broken(page)]
    return [
        BrokenLink(
            url=page.url,
            code=page.problem or "",
            links_in=page.links_in,
            sources=await site_map.sources_of(page.url, SOURCES),
        )
        for page in lost[:BROKEN]
    ]
