"""Slots bound what runs in this process, whatever the store has leased."""

import pytest

from trio_workflow.runtime.slots import Slots


def test_a_slot_is_refused_when_the_limit_of_its_queue_was_lowered() -> None:
    slots = Slots(10)
    slots.set_limits({"q": 2})
    assert [slots.take_if_free("q", "a"), slots.take_if_free("q", "b")] == [True, True]
    slots.set_limits({"q": 1})
    assert slots.free_by_queue() == {"q": 0}
    slots.give_back("q", "a")
    assert not slots.take_if_free("q", "c")
    assert (slots.free, slots.free_by_queue()) == (9, {"q": 0})
    slots.give_back("q", "b")
    assert slots.take_if_free("q", "c")


def test_a_slot_is_refused_when_all_of_the_process_are_taken() -> None:
    slots = Slots(2)
    slots.set_limits({"q": 5, "r": 5})
    assert [slots.take_if_free(queue, queue) for queue in ("q", "r")] == [True, True]
    assert not slots.take_if_free("q", "more")
    assert (slots.free, slots.borrowed_by_queue()) == (0, {"q": 1, "r": 1})
    slots.give_back("r", "r")
    assert slots.take_if_free("q", "more")


def test_a_slot_is_given_back_once() -> None:
    slots = Slots(2)
    slots.set_limits({"q": 2})
    assert slots.take_if_free("q", "a")
    slots.give_back("q", "a")
    with pytest.raises(RuntimeError):
        slots.give_back("q", "a")
    assert slots.free == 2
