"""Who goes first: free slots are dealt to queues in turns, and runs take turns within a queue.

Runs take turns by a number a step gets when it falls due: the next after the queue's turn, and after the last
number its run got in that queue. Steps start in the order of these numbers. A run of a thousand steps thus
stands with its last one a thousand turns back, and a run that comes later with one step starts almost at
once; and since the queue's turn grows with every start, no step is overtaken for ever (start-time fair
queueing, Goyal, Vin and Cheng, 1996).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence


def turn_of(queue_turn: int, last: int) -> int:
    """The turn of a step that falls due, when the last one of its run in that queue got `last`."""
    return max(queue_turn, last) + 1


def deal(slots: int, wanted: Mapping[str, int], after: str | int) -> dict[str, int]:
    """Slots for each queue, dealt one by one in rounds.

    The queue that follows `after` by its name starts; or, as long as none has, the one at that index, modulo.
    With the queue that started last as `after`, one that wants a slot each time starts at the latest when all
    others have, however those come and go. No queue gets more than it wants, and no slot is left over while
    any queue wants one.
    """
    names = sorted(name for name, wants in wanted.items() if wants > 0)
    if not names:
        return {}
    start = _index(names, after)
    order = names[start:] + names[:start]
    shares = dict.fromkeys(order, 0)
    while slots > 0 and order:
        each = max(1, slots // len(order))
        for name in list(order):
            share = min(each, wanted[name] - shares[name], slots)
            shares[name] += share
            slots -= share
            if shares[name] == wanted[name]:
                order.remove(name)
    return shares


def _index(names: Sequence[str], after: str | int) -> int:
    return (after if isinstance(after, int) else bisect_right(names, after)) % len(names)
