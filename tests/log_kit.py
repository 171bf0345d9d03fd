"""A database with a write-ahead log whose commits are known, and what is left of the two after a crash."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import trio
from file_kit import content
from store_kit import PERMANENT, RETRYABLE, Bench, open_bench, run, step
from trio.testing import MockClock

from trio_workflow.model.outcome import RecordWrite, Success
from trio_workflow.store.sqlite.check import LOOKS, Report
from trio_workflow.store.sqlite.opening import open_file

State = tuple[tuple[Any, ...], ...]
PAGE, LOG_HEADER, FRAME_HEADER = 4096, 32, 24


@attrs.frozen
class Log:
    """database, log: their bytes. commits: the size of the log after each, and what was stored by then."""

    database: bytes
    log: bytes
    commits: list[tuple[int, State]]

    def whole_before(self, offset: int) -> State:
        """What the commits that lie wholly before that offset of the log have stored."""
        return [state for size, state in self.commits if size <= offset][-1]

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Page number and content of every frame, in order."""
        for at in range(LOG_HEADER, len(self.log), FRAME_HEADER + PAGE):
            frame = self.log[at : at + FRAME_HEADER + PAGE]
            yield int.from_bytes(frame[:4], "big"), frame[FRAME_HEADER:]


def stored(conn: sqlite3.Connection) -> State:
    """Everything that the tests' commits change."""
    return tuple(
        tuple(row)
        for table, key in (("runs", "run_key"), ("steps", "step_key"), ("attempts", "step_key, number"))
        for row in conn.execute(f"SELECT * FROM {table} ORDER BY {key}")
    ) + tuple(
        tuple(row)
        for table in ("dependencies", "results", "records", "queues", "checkpoints", "step_inputs")
        for row in conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
    )


def reopened(path: Path) -> State:
    """What a store finds there, after a look at every invariant and page."""
    with closing(open_file(str(path), "OFF")) as conn:
        report = Report()
        for look in LOOKS:
            key: int | None = 0
            while key is not None:
                key = look(report, key, conn)
        assert report.found == []
        return stored(conn)


async def commits(bench: Bench) -> AsyncIterator[None]:
    """One commit of every kind after the other, some of them many times."""
    for number in range(6):
        big = "x" * (300 * number)
        steps = (step("a"), step("b", "a"), step("c", "a b?", input=f'"{big}"'), step("d"))
        await bench.create(run(f"r{number}", *steps))
        yield
        claims = await bench.claim()
        yield
        assert await bench.store.save(claims["a"].step_key, claims["a"].token, f'"{big}"')
        yield
        product = Success(
            data=f'"{big}"', records=(RecordWrite("pages", "k", f'"{big}"'),), emitted=(step("e"),)
        )
        await bench.end(claims["a"], product)
        yield
        await bench.end(claims["d"], RETRYABLE if number % 2 else PERMANENT)
        yield
        if number % 3 == 2:
            await bench.store.cancel_run(f"r{number}")
            yield


def write_log(path: Path) -> Log:
    """The commits, acknowledged one by one, and not copied back into the database."""

    known: list[tuple[int, State]] = []

    async def main() -> tuple[bytes, bytes]:
        async with open_bench(path) as bench:
            known.append((0, stored(bench.conn)))
            async for _ in commits(bench):
                known.append((len(both(path)[1]), stored(bench.conn)))
            assert bench.store.statistics().checkpoints == 0
            return both(path)

    return Log(*trio.run(main, clock=MockClock()), known)


def both(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a database and of its log, none where there is no file."""
    return content(path), content(path.with_name(f"{path.name}-wal"))


def leave(path: Path, database: bytes, log: bytes) -> Path:
    """Put a database and a log there, as a crash left them."""
    path.write_bytes(database)
    path.with_name(f"{path.name}-wal").write_bytes(log)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return path
