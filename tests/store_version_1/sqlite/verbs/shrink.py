"""Pages that hold nothing are given back, so that the file shrinks when runs were removed.

Some are kept: what comes next is written into them, and to cut off a page another one has to be moved.
"""

from collections.abc import Callable

from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.verbs.delete import free_pages

PAGES_AT_ONCE = 200  # some 10 ms of the write lock
KEPT_SHARE = 8  # one free page is kept for so many that are in use
KEPT_AT_LEAST = 256  # 1 MB


def shrink(tx: Tx, at_end: Callable[[], None]) -> bool:
    """Some pages are cut off the file; answers whether there are more to cut.

    at_end: called when the last were cut. The file itself becomes shorter when the log is copied back.
    """
    free, total = free_pages(tx), int(tx.one("all_pages")[0])
    surplus = free - max(KEPT_AT_LEAST, (total - free) // KEPT_SHARE)
    count = min(surplus, PAGES_AT_ONCE)
    for _ in range(count):
        tx.run("cut_page")  # one at a time: sqlite3 goes no further than to the first
    # A file that was not made by us may have no map of its pages, and then nothing can be cut.
    has_cut = count > 0 and free_pages(tx) < free
    if has_cut and count == surplus:
        at_end()
    return has_cut and count < surplus
