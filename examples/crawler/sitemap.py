"""What is known of the site: pages, links and words, in a projection. The only place with SQL.

Rule 1: every write says the same when it is repeated, since a step may run again after its writes.
Rule 2: a page that was admitted stays admitted, so that whoever meets a link to it again asks for it again;
        the runtime drops what it was asked for before (the URL is the dedup key).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from crawler.pages import Answer
from crawler.parsing import Content
from trio_workflow import Projection, StepFailure

TABLES = (
    """CREATE TABLE IF NOT EXISTS page (
         url TEXT PRIMARY KEY, depth INTEGER NOT NULL, asked_at TEXT, seconds REAL, attempts INTEGER,
         status INTEGER, problem TEXT, content_type TEXT, bytes INTEGER, title TEXT, words INTEGER)""",
    """CREATE TABLE IF NOT EXISTS link (
         source TEXT, target TEXT, PRIMARY KEY (source, target)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS link_by_target ON link (target)",
    """CREATE TABLE IF NOT EXISTS term (
         term TEXT, url TEXT, count INTEGER NOT NULL, PRIMARY KEY (term, url)) WITHOUT ROWID""",
)


@attrs.frozen(kw_only=True)
class PageRow:
    """A page as it is known. problem: the code of what its last attempt ran into. words: None if not read."""

    url: str
    depth: int
    asked_at: str | None
    seconds: float | None
    attempts: int | None
    status: int | None
    problem: str | None
    content_type: str | None
    bytes: int | None
    title: str | None
    words: int | None
    links_in: int


class SiteMap:
    """The projection of one crawl."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    async def create(self) -> None:
        """Make the tables that are missing."""
        for table in TABLES:
            await self._projection.execute(table)

    async def clear(self) -> None:
        """Forget everything."""
        async with self._projection.transaction() as tx:
            for table in ("page", "link", "term"):
                await tx.execute(f"DROP TABLE IF EXISTS {table}")

    # What steps write.

    async def admit(self, urls: Sequence[str], depth: int, most: int) -> list[str]:
        """Add pages to the map while it has fewer than that many; answers those of them that are on it."""
        async with self._projection.transaction() as tx:
            await tx.execute_many(
                """INSERT OR IGNORE INTO page (url, depth)
                   SELECT ?, ? WHERE (SELECT count(*) FROM page) < ?""",
                [(url, depth, most) for url in urls],
            )
            marks = ", ".join("?" * len(urls))
            rows = await tx.query(f"SELECT url FROM page WHERE url IN ({marks})", *urls)
        on_map = {row["url"] for row in rows}
        return [url for url in urls if url in on_map]

    async def note_answer(self, url: str, answer: Answer, attempt: int, at: datetime) -> None:
        """The server has answered with a page, or said where it is."""
        await self._projection.execute(
            """UPDATE page SET asked_at = ?, attempts = ?, seconds = ?, status = ?, problem = NULL,
                               content_type = ?, bytes = ? WHERE url = ?""",
            at.isoformat(),
            attempt,
            answer.seconds,
            answer.status,
            answer.content_type,
            None if answer.body is None else len(answer.body),
            url,
        )

    async def note_failure(self, url: str, failure: StepFailure, attempt: int, at: datetime) -> None:
        """An attempt has failed; a later one may still succeed, and then says so."""
        await self._projection.execute(
            "UPDATE page SET asked_at = ?, attempts = ?, problem = ? WHERE url = ?",
            at.isoformat(),
            attempt,
            failure.code,
            url,
        )

    async def note_content(self, url: str, content: Content, links: Iterable[str]) -> None:
        """What a page says; links are those within the site."""
        async with self._projection.transaction() as tx:
            await tx.execute(
                "UPDATE page SET title = ?, words = ? WHERE url = ?", content.title, content.words, url
            )
            await tx.execute("DELETE FROM link WHERE source = ?", url)
            await tx.execute_many("INSERT INTO link VALUES (?, ?)", [(url, target) for target in links])
            await tx.execute("DELETE FROM term WHERE url = ?", url)
            await tx.execute_many(
                "INSERT INTO term VALUES (?, ?, ?)", [(term, url, n) for term, n in content.terms.items()]
            )

    async def note_redirect(self, url: str, target: str) -> None:
        """The page is elsewhere on the site."""
        async with self._projection.transaction() as tx:
            await tx.execute("DELETE FROM link WHERE source = ?", url)
            await tx.execute("INSERT INTO link VALUES (?, ?)", url, target)

    # What the report reads.

    async def pages(self) -> list[PageRow]:
        """All pages that were admitted, the most linked ones first."""
        rows = await self._projection.query(
            """SELECT page.*, (SELECT count(*) FROM link WHERE target = url AND source <> url) AS links_in
               FROM page ORDER BY links_in DESC, url"""
        )
        return [PageRow(**row) for row in rows]

    async def links(self) -> list[tuple[str, str]]:
        """From page to page, within the site."""
        rows = await self._projection.query("SELECT source, target FROM link ORDER BY source, target")
        return [(row["source"], row["target"]) for row in rows]

    async def index(self) -> Mapping[str, list[tuple[str, int]]]:
        """Each word with the pages it stands on and how often, most often first."""
        rows = await self._projection.query(
            "SELECT term, url, count FROM term ORDER BY term, count DESC, url"
        )
        index: dict[str, list[tuple[str, int]]] = {}
        for row in rows:
            index.setdefault(row["term"], []).append((row["url"], row["count"]))
        return index

    async def sources_of(self, url: str, most: int) -> list[str]:
        """Some of the pages that link to this one."""
        rows: list[dict[str, Any]] = await self._projection.query(
            "SELECT source FROM link WHERE target = ? ORDER BY source LIMIT ?", url, most
        )
        return [row["source"] for row in rows]
