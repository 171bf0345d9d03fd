"""Fan out over the chapters of a book, join what was counted, keep a report and a table to query.

    python examples/book_pipeline.py [FILE]

FILE is a text whose chapters begin with `Chapter 1`, with `# Title`, or with a title underlined by asterisks;
without one, the topics of Python's own help are the book. What the program keeps is in var/book.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import attrs
import trio

from trio_workflow import (
    Config,
    FileArtifactStore,
    Package,
    QueueConfig,
    RunBuilder,
    SQLiteProjectionStore,
    SQLiteStore,
    StepContext,
    open_runtime,
)

FOLDER = Path("var/book")
HEADING = re.compile(r"^(C(?:hapter|HAPTER) [\dIVXL]+\b.*|# .+|\S.*(?=\n\*{3}))$", re.MULTILINE)
TABLES = {
    "the longest chapters, in words": """
        SELECT chapter AS name, sum(n) AS n FROM word WHERE run = ?
        GROUP BY chapter ORDER BY 2 DESC, 1 LIMIT 5""",
    "the most frequent words of six letters or more": """
        SELECT word AS name, sum(n) AS n FROM word WHERE run = ? AND length(word) >= 6
        GROUP BY word ORDER BY 2 DESC, 1 LIMIT 5""",
}

book = Package("book", display_name="Count the words of a book")


@attrs.frozen
class Chapter:
    title: str
    text: str


@attrs.frozen
class Count:
    title: str
    words: dict[str, int]


@book.entrypoint
def start(run: RunBuilder, file: str | None) -> None:
    run.step("split", file, kind="book/split")


@book.executor("book/split")
def split(step: StepContext, file: str | None) -> None:
    text = Path(file).read_text(encoding="utf-8") if file else "\n".join(topics.values())
    parts = ["(beginning)", *HEADING.split(text)]
    pairs = zip(parts[0::2], parts[1::2], strict=True)
    chapters = [Chapter(title.strip("# "), body) for title, body in pairs if body.strip()]
    # What is emitted is stored together with this step's success: all of it, or nothing.
    counts = [step.emit(input=chapter, kind="book/count", queue="count") for chapter in chapters]
    step.emit("report", kind="book/report", depends_on=counts)


@book.executor("book/count")
def count(step: StepContext, chapter: Chapter) -> Count:
    return Count(chapter.title, Counter(re.findall(r"[^\W\d_]+", chapter.text.lower())))


@book.executor("book/report")
async def report(step: StepContext) -> None:
    counts: list[Count] = [await step.dependency_data(d.step_id, Count) for d in step.step.depends_on]
    lines = [f"{sum(c.words.values())}\t{c.title}\n" for c in counts]
    await step.store_artifact("report.tsv", "text/tab-separated-values", "".join(lines).encode())

    # A projection has transactions of its own: write it so that a second attempt changes nothing.
    projection = await step.projection("books")
    async with projection.transaction() as tx:
        await tx.execute("CREATE TABLE IF NOT EXISTS word (run, chapter, word, n)")
        await tx.execute("DELETE FROM word WHERE run = ?", step.run_id)
        rows = [(step.run_id, c.title, word, n) for c in counts for word, n in c.words.items()]
        await tx.execute_many("INSERT INTO word VALUES (?, ?, ?, ?)", rows)


async def main(file: str | None) -> str | None:
    config = Config(
        store=SQLiteStore(FOLDER / "engine.db"),
        artifact_store=FileArtifactStore(FOLDER / "artifacts"),
        projection_store=SQLiteProjectionStore(FOLDER / "projections"),
        max_workers=4,
        queues={"count": QueueConfig(max_workers=4)},
    )
    async with open_runtime(config) as rt, trio.open_nursery() as nursery:
        rt.register_package(book)
        await nursery.start(rt.start_workers)
        run = await rt.start_run("book", file)
        await run.wait()
        await rt.drain()
        for step in await rt.steps(run.id, status="failed"):
            return f"step {step.id} failed: {step.error}"
        words = await rt.projection("books")
        for heading, sql in TABLES.items():
            print(heading)
            for row in await words.query(sql, run.id):
                print(f"{row['n']:7}  {row['name']}")
        async with rt.open_artifact(run.id, "report", "report.tsv") as reader:
            print(f"report.tsv has {len((await reader.read()).splitlines())} lines")
    return None


if __name__ == "__main__":
    sys.exit(trio.run(main, str(Path(sys.argv[1]).resolve()) if len(sys.argv) > 1 else None))
