"""Choices: all of them, one after the other, or by a seed."""

import random

from .chance import Chance, RandomChance, every


def test_every_way_in_which_the_choices_can_fall() -> None:
    def draw(chance: Chance) -> str:
        return f"{chance.prefix(2, 3)}{'x' if chance.is_kept() else ''}"

    assert every(draw) == ["2", "2x", "3", "3x"]


def test_choices_that_follow_from_others_are_made_only_then() -> None:
    assert every(lambda chance: chance.is_kept() and chance.is_torn()) == [False, False, True]


def test_some_states_keep_nothing_some_all_and_some_a_part() -> None:
    seen: set[tuple[bool, ...]] = set()
    for seed in range(300):
        chance = RandomChance(random.Random(seed))
        chance.next_object()
        seen.add(tuple(chance.is_kept() for _ in range(2)))
    assert seen == {(False, False), (False, True), (True, False), (True, True)}


def test_a_seed_draws_prefixes_from_the_least_to_the_most() -> None:
    prefixes = {RandomChance(random.Random(seed)).prefix(3, 5) for seed in range(300)}
    assert prefixes == {3, 4, 5}
