"""A step goes back to ready: after a failure, a release, a lost lease, or on an operator's word."""

from typing import Any

from trio_workflow.store.sqlite.transaction import Book


def ready_again(book: Book, run_key: int, queue: str, changes: dict[str, Any], delay: int) -> None:
    """A step goes back to ready, `delay` microseconds ahead; what it is charged stands in `changes`."""
    ready_at, turn = book.place(queue, run_key, delay)
    book.tx.run("ready_again", changes | {"ready_at": ready_at, "turn": turn, "now": book.tx.now})
