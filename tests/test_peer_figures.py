"""The ratios of the comparison with peers: of the best way, within a round, above 1 where ours is faster."""

from bench.peer_figures import (
    FAN_OUT,
    HOP,
    IDLE,
    ONE_AT_A_TIME,
    OURS,
    Sample,
    amount,
    best_way,
    lines_of_ways,
    modes,
    speed_ratio,
    table,
    times,
)


def samples(system: str, work: str, values: list[float], way: str = "a way") -> list[Sample]:
    return [Sample(system, work, way, value, "wal", 2) for value in values]


def test_a_rate_is_better_when_it_is_higher() -> None:
    ours, theirs = samples(OURS, FAN_OUT, [4000, 6000, 8000]), samples("p", FAN_OUT, [400, 200, 400])
    assert speed_ratio(ours, theirs) == 20


def test_a_time_is_better_when_it_is_shorter() -> None:
    assert speed_ratio(samples(OURS, HOP, [2.0]), samples("p", HOP, [3.0])) == 1.5
    assert speed_ratio(samples(OURS, IDLE, [2.0]), samples("p", IDLE, [1.0])) == 0.5


def test_a_ratio_pairs_the_figures_of_a_round() -> None:
    ours, theirs = samples(OURS, FAN_OUT, [100, 10, 60]), samples("p", FAN_OUT, [50, 5, 10])
    assert speed_ratio(ours, theirs) == 2  # the medians alone would say 6


def test_the_best_way_has_the_best_median() -> None:
    steady, lucky = samples("p", FAN_OUT, [5, 5, 5], "steady"), samples("p", FAN_OUT, [9, 1, 1], "lucky")
    assert best_way(lucky + steady, "p", FAN_OUT) == steady
    slow, fast = samples("p", HOP, [2, 2, 2], "slow"), samples("p", HOP, [1, 1, 9], "fast")
    assert best_way(slow + fast, "p", HOP) == fast


def test_one_at_a_time_is_not_compared() -> None:
    at_once, alone = samples("p", FAN_OUT, [5]), samples("p", FAN_OUT, [50], ONE_AT_A_TIME)
    assert best_way(at_once + alone, "p", FAN_OUT) == at_once


def test_the_table_has_a_line_per_system_and_ratios_behind_the_peers() -> None:
    ours = samples(OURS, FAN_OUT, [6000]) + samples(OURS, HOP, [1.0]) + samples(OURS, IDLE, [3.0])
    theirs = samples("p", FAN_OUT, [300]) + samples("p", HOP, [2.5]) + samples("p", IDLE, [1.5])
    assert table(ours + theirs, {OURS: "trio_workflow", "p": "Peer"}).splitlines()[2:] == [
        "| trio_workflow | 6,000 | 1.00 ms | 3.00 ms |",
        "| Peer | 300 (20×) | 2.50 ms (2.5×) | 1.50 ms (0.5×) |",
    ]


def test_ratios_and_amounts_show_as_many_digits_as_they_have() -> None:
    assert [times(0.44), times(9.94), times(10.4)] == ["0.4×", "9.9×", "10×"]
    assert [amount(1234.5, FAN_OUT), amount(1.234, HOP)] == ["1,234", "1.23 ms"]


def test_a_way_shows_its_median_and_its_range() -> None:
    assert lines_of_ways(samples("p", HOP, [3, 1, 2]), "p") == ["hop, a way: 2.00 ms (1.00 ms to 3.00 ms)"]


def test_modes_are_those_that_were_found() -> None:
    assert modes(samples("p", HOP, [3, 1]) + samples("q", HOP, [1]), "p") == "journal_mode=wal synchronous=2"
