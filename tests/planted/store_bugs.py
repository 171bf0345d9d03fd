"""Bugs of the store: what a transaction holds, and what it makes of it."""

from .bug import bug

VERBS = "store/sqlite/verbs/"
SQL = "store/sqlite/sql/"

STORE_BUGS = (
    bug(
        "an outcome is taken whatever its token",
        SQL + "complete.sql",
        "  s.retry, s.token, s.worker_id\n",
        "  s.retry, j.key AS token, s.worker_id\n",
        "WHERE s.status = 'running' AND s.token = j.key",
        "WHERE s.status = 'running'",
    ),
    bug(
        "an outcome is taken for a step that does not run",
        SQL + "complete.sql",
        "  s.retry, s.token, s.worker_id\n",
        "  s.retry, j.key AS token, coalesce(s.worker_id, '') AS worker_id\n",
        "WHERE s.status = 'running' AND s.token = j.key",
        "WHERE s.status <> 'succeeded'",
    ),
    bug(
        "a lease is renewed without its token",
        VERBS + "complete.py",
        "    live = fence(tx, [(renewal.step_key, renewal.token) for renewal in renewals])\n",
        "    live = {r.token for r in renewals if tx.conn.execute(\n"
        "        'SELECT 1 FROM steps WHERE token IS NOT NULL AND step_key = ?', (r.step_key,)\n"
        "    ).fetchone()}\n",
    ),
    bug(
        "a checkpoint is saved without its token",
        VERBS + "complete.py",
        "    if token not in fence(tx, [(step_key, token)]):\n",
        "    if False:\n",
    ),
    bug(
        "children are committed before the step that emitted them",
        VERBS + "complete.py",
        "    add_steps(book, row.run_key, graph, steps)\n",
        "    add_steps(book, row.run_key, graph, steps)\n"
        "    book.tx.conn.execute('COMMIT')\n    book.tx.conn.execute('BEGIN IMMEDIATE')\n",
    ),
    bug(
        "the leases of a queue are counted before the transaction",
        VERBS + "claim.py",
        '    return {queue: Leased(*counts) for queue, *counts in tx.all("leased_by_queue")}\n',
        '    now = {queue: Leased(*counts) for queue, *counts in tx.all("leased_by_queue")}\n'
        "    before, _SEEN[id(tx.conn)] = _SEEN.get(id(tx.conn), now), now\n"
        "    return before\n\n\n_SEEN = {}\n",
    ),
    bug(
        "a clock that went back fills the bucket",
        "rules/token_bucket.py",
        "    return now + capacity if tat > now + capacity + slack else tat\n",
        "    return now if tat > now + capacity + slack else tat\n",
    ),
    bug(
        "a bucket holds more than its burst",
        "rules/token_bucket.py",
        "    if tat is None or tat <= now:\n        return now\n",
        "    if tat is None or tat <= now:\n        return now if tat is None else tat\n",
    ),
    bug(
        "tokens are looked at and not taken",
        "rules/token_bucket.py",
        "    return settled(tat, now, rate, slack) + tokens * interval(rate)\n",
        "    return settled(tat, now, rate, slack) + (tokens - 1) * interval(rate)\n",
    ),
    bug(
        "the cascade misses optional dependents",
        VERBS + "settle.py",
        "        wake(book, list(dead))  # what still waits for a dead step only needed it to end\n",
        "",
    ),
    bug(
        "the cascade ends after one generation",
        VERBS + "settle.py",
        "        dead = canceled\n",
        "        dead = {}\n",
    ),
    bug(
        "the cascade names the step before as the cause",
        VERBS + "settle.py",
        "        causes[step_key] = dead[needs_key]\n",
        "        causes[step_key] = step_id\n",
    ),
    bug(
        "a canceled run can be retried",
        VERBS + "retry.py",
        '    if head["status"] == RunStatus.CANCELED:\n',
        "    if False:\n",
    ),
    bug(
        "cancel leaves out the steps that run",
        VERBS + "cancel.py",
        '        keys.append(row["step_key"])\n',
        '        if row["status"] == "running":\n            continue\n'
        '        keys.append(row["step_key"])\n',
    ),
    bug(
        "cancel revokes no lease",
        VERBS + "cancel.py",
        '            book.revoked.append(row["token"])\n',
        "",
    ),
    bug(
        "failed attempts are not counted",
        VERBS + "complete.py",
        '"charged": row.charged + 1',
        '"charged": row.charged',
    ),
    bug(
        "a lost lease is not counted",
        VERBS + "expire.py",
        "tx, lost, run_key = book.tx, row.lost + 1, row.run_key",
        "tx, lost, run_key = book.tx, row.lost, row.run_key",
    ),
    bug(
        "a step given back is charged",
        VERBS + "complete.py",
        '    charges = {"charged": row.charged, ',
        '    charges = {"charged": row.charged + 1, ',
    ),
    bug(
        "a retry forgets the second failed parent",
        VERBS + "retry.py",
        "        cause = _cause(dependencies, states)\n",
        "        cause = None\n",
    ),
    bug(
        "a retry leaves dependents that wait as if it had ended",
        VERBS + "retry.py",
        '        _unmeet(tx, row["step_key"])\n        changed.append',
        "        changed.append",
    ),
    bug(
        "a retry keeps the spent budget",
        VERBS + "retry.py",
        '"error": None, "charged": 0, "lost": 0}',
        '"error": None, "charged": 1, "lost": 0}',
    ),
    bug(
        "a worker takes back its own leases",
        VERBS + "expire.py",
        "        if row.token not in request.spared\n",
        "",
    ),
    bug(
        "an expired lease is given another day",
        VERBS + "expire.py",
        "        if lease.first_expiry <= tx.now\n",
        "        if lease.first_expiry + 5_000_000 <= tx.now\n",
    ),
    bug(
        "a lower priority may go first",
        SQL + "claim.sql",
        "ORDER BY priority DESC, turn, step_key LIMIT :limit",
        "ORDER BY turn, step_key LIMIT :limit",
    ),
    bug(
        "the limit of a queue is not over all processes",
        VERBS + "hall.py",
        "free = min(limit - running, ",
        "free = min(limit, ",
    ),
    bug(
        "a dedup key is known within one call only",
        VERBS + "create.py",
        'row in tx.all("known_dedup_keys", by_key)} if keys else {}',
        'row in tx.all("known_dedup_keys", by_key)} if False else {}',
    ),
    bug(
        "a child of a dead step is not canceled",
        VERBS + "create.py",
        "        settle(book, met=(), dead=cancel_blocked(book, dead))\n",
        "        pass\n",
    ),
    bug(
        "a failure that was allowed fails its run",
        "rules/run_status.py",
        "tally.failed > tally.excused",
        "tally.failed > 0",
    ),
    bug(
        "the backoff is forgotten",
        VERBS + "complete.py",
        "ready_again(book, run_key, row.queue, changes, again.delay)",
        "ready_again(book, run_key, row.queue, changes, 0)",
    ),
    bug(
        "one attempt too many",
        "rules/retry.py",
        "charged + 1 >= policy.max_attempts",
        "charged >= policy.max_attempts",
    ),
    bug(
        "prune removes what has just ended",
        VERBS + "delete.py",
        'tx.all("ended_before", {"before": before, ',
        'tx.all("ended_before", {"before": before + 10_000_000, ',
    ),
)
