"""Free slots are dealt to queues in turns, and runs take turns within a queue."""

from hypothesis import given
from hypothesis import strategies as st

from trio_workflow.rules.shares import deal, turn_of

wishes = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40))
slots = st.integers(0, 120)
firsts = st.integers(0, 1000)


@given(slots, wishes, firsts)
def test_every_slot_is_dealt_while_any_queue_wants_one(
    slots: int, wanted: dict[str, int], first: int
) -> None:
    assert sum(deal(slots, wanted, first).values()) == min(slots, sum(wanted.values()))


@given(slots, wishes, firsts)
def test_no_queue_gets_more_than_it_wants(slots: int, wanted: dict[str, int], first: int) -> None:
    assert all(0 <= share <= wanted[queue] for queue, share in deal(slots, wanted, first).items())


@given(slots, wishes, firsts)
def test_a_queue_gets_less_than_it_wants_only_if_none_has_more_than_one_more(
    slots: int, wanted: dict[str, int], first: int
) -> None:
    shares = deal(slots, wanted, first)
    unsatisfied = [share for queue, share in shares.items() if share < wanted[queue]]
    assert not unsatisfied or max(shares.values()) <= min(unsatisfied) + 1


@given(st.integers(1, 8), st.integers(1, 8))
def test_over_as_many_deals_as_there_are_queues_each_gets_the_same(queues: int, slots: int) -> None:
    wanted = dict.fromkeys("abcdefgh"[:queues], 100)
    total = dict.fromkeys(wanted, 0)
    for first in range(queues):
        for queue, share in deal(slots, wanted, first).items():
            total[queue] += share
    assert set(total.values()) == {slots}


def test_the_queue_whose_turn_it_is_starts() -> None:
    assert [next(iter(deal(1, {"a": 1, "b": 1, "c": 0}, first))) for first in range(4)] == list("abab")


@given(st.lists(st.sets(st.sampled_from("abcdefgh")), min_size=8, max_size=40), st.integers(0, 1000))
def test_a_queue_that_always_wants_starts_in_time_though_others_come_and_go(
    others: list[set[str]], begin: int
) -> None:
    after: str | int = begin
    starters: list[str] = []
    for some in others:
        after = next(iter(deal(1, dict.fromkeys({*some, "dd"}, 1), after)))
        starters.append(after)
    queues = len({"dd"}.union(*others))
    assert all("dd" in starters[at : at + queues] for at in range(len(starters) - queues + 1))


def test_a_lone_queue_gets_all() -> None:
    assert deal(5, {"a": 9}, 7) == {"a": 5}
    assert deal(5, {}, 0) == {}
    assert deal(0, {"a": 9}, 0) == {"a": 0}


def test_a_step_of_a_run_that_comes_later_starts_almost_at_once() -> None:
    big = [0]
    for _ in range(1000):
        big.append(turn_of(0, big[-1]))
    assert big == list(range(1001))
    assert turn_of(5, 0) == 6  # five have started: before the seventh of a thousand
    assert turn_of(2000, big[-1]) == 2001  # what has started does not count for or against a run
