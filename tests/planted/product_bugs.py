"""Bugs of what is stored and read: graphs, products, attempts and what of them is told to whom."""

from .bug import bug

VERBS = "store/sqlite/verbs/"
SQL = "store/sqlite/sql/"

PRODUCT_BUGS = (
    bug(
        "a child cannot depend on an id that was dropped",
        VERBS + "create.py",
        'for name in ("known_aliases", "known_ids")',
        'for name in ("known_ids",)',
    ),
    bug(
        "an id that was dropped takes the place of one that is there",
        "rules/graph.py",
        "if alias not in by_id and alias not in known.ids",
        "if alias not in known.ids",
    ),
    bug(
        "of two dependencies on one step the last decides",
        "rules/graph.py",
        "required.get(real, False) or dependency.required",
        "dependency.required",
    ),
    bug(
        "children may depend on each other in a cycle",
        "rules/graph.py",
        "    _refuse_cycles(steps)\n",
        "",
    ),
    bug(
        "a run that exists with another input is answered",
        VERBS + "create.py",
        "        if there != same:\n",
        "        if False:\n",
    ),
    bug(
        "collection and key of a record change places",
        VERBS + "complete.py",
        "(run_key, step_key, r.collection, r.key, r.data)",
        "(run_key, step_key, r.key, r.collection, r.data)",
    ),
    bug(
        "an attempt begins again without its checkpoint",
        VERBS + "claim.py",
        "            saved=step.saved,\n",
        "            saved=None,\n",
    ),
    bug(
        "an executor gets the input of the step before",
        SQL + "claim.sql",
        "LEFT JOIN step_inputs i ON i.step_key = s.step_key LEFT",
        "LEFT JOIN step_inputs i ON i.step_key = s.step_key - 1 LEFT",
    ),
    bug(
        "an executor is told of a run that is not its own",
        VERBS + "claim.py",
        "            read_run=read_runs[step.run_key],\n",
        "            read_run=read_runs[run_keys[0]],\n",
    ),
    bug(
        "an executor is not told of its timeout",
        VERBS + "claim.py",
        "timeout=seconds_or_none(step.timeout)",
        "timeout=None",
    ),
    bug(
        "each attempt began when the first did",
        SQL + "claim.sql",
        "SELECT s.step_key, s.attempt, s.worker_id, s.acquired_at",
        "SELECT s.step_key, s.attempt, s.worker_id, s.started_at",
    ),
    bug(
        "the first progress of an attempt is the last",
        SQL + "complete.sql",
        "progress = coalesce(?, progress) WHERE",
        "progress = coalesce(progress, ?) WHERE",
    ),
    bug(
        "a failed attempt does not say why",
        VERBS + "complete.py",
        "    ending.close_attempt(book, row, outcome, error)",
        "    ending.close_attempt(book, row, outcome, None)",
    ),
    bug(
        "the longest backoff is no limit",
        "rules/retry.py",
        "    return min(delay, policy.max_backoff) * (1.0 - policy.jitter * roll)",
        "    return delay * (1.0 - policy.jitter * roll)",
    ),
)
