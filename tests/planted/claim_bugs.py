"""Bugs of who starts next: limits, shares, turns and dates; and of transactions that fail half-way."""

from .bug import bug

VERBS = "store/sqlite/verbs/"
SQL = "store/sqlite/sql/"

CLAIM_BUGS = (
    bug(
        "the same queue is always asked first",
        VERBS + "hall.py",
        "for queue, steps in found.items()}, request.after)",
        "for queue, steps in found.items()}, 0)",
    ),
    bug(
        "each cycle asks the same queue first",
        "runtime/desk.py",
        "            after=engine.went_first.get(self._queues, engine.begins_at),\n",
        "            after=1 if self._cap is not None else engine.went_first.get(self._queues, 0),\n",
    ),
    bug(
        "queues take turns by their number, however they come and go",
        "runtime/desk.py",
        "            engine.went_first[self._queues] = answer.claims[0].queue\n",
        "            engine.begins_at += 1\n",
    ),
    bug(
        "one queue gets all free slots",
        "rules/shares.py",
        "each = max(1, slots // len(order))",
        "each = slots",
    ),
    bug(
        "one kind goes before another",
        VERBS + "hall.py",
        "        found.sort()\n",
        "",
    ),
    bug(
        "a queue that is paused has no limit of its own",
        VERBS + "hall.py",
        'config = None if row["max_workers"] is None else',
        'config = None if not row["max_workers"] else',
    ),
    bug(
        "workers claim from queues that they do not serve",
        VERBS + "hall.py",
        "if self._request.queues is None or queue in self._request.queues:",
        "if True:",
    ),
    bug(
        "a bucket that was set anew is not stored",
        VERBS + "hall.py",
        '        self._tx.run("set_queue_turn", {"queue": queue, "turn": 0, "tat": settled})\n',
        "",
    ),
    bug(
        "a clock that went back holds up its queue",
        SQL + "claim.sql",
        "tat = coalesce(excluded.tat, tat)",
        "tat = max(coalesce(excluded.tat, tat), coalesce(tat, 0))",
    ),
    bug(
        "a transaction that a full disk has ended is rolled back",
        "store/sqlite/committer.py",
        '        if self._conn.in_transaction:\n            self._conn.execute("ROLLBACK")',
        '        self._conn.execute("ROLLBACK")',
    ),
)
