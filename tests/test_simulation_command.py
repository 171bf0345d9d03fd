"""The command that simulates the engine: a campaign, one world again, and what it says of a broken engine."""

import re
import shlex
from collections.abc import Callable

import pytest

from trio_workflow.testing.simulation import __main__ as command
from trio_workflow.testing.simulation.campaign import Campaign

Run = Callable[[str], tuple[int, str]]


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with these options; answers its exit code and what it printed."""

    def run(options: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["simulation", *shlex.split(options)])
        return command.main(), capsys.readouterr().out

    return run


def test_a_campaign_over_a_sound_engine_tells_what_it_did(simulation: Run) -> None:
    code, told = simulation("--seeds 0:3")
    assert (code, told.splitlines()[0].startswith("seeds 3, ")) == (0, True)
    assert "seeds that broke something: none" in told


def test_no_seed_is_started_after_the_time_is_up(simulation: Run) -> None:
    code, told = simulation("--seeds 0:1000 --seconds 0")
    assert (code, told.splitlines()[0]) == (0, "seeds 0, steps finished 0, attempts 0")


def test_a_campaign_tells_of_its_progress_now_and_then(
    simulation: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = iter(range(0, 1_000_000, 3600))
    monkeypatch.setattr("time.monotonic", lambda: float(next(hours)))
    progress = command._Progress()
    progress(Campaign(seeds=7, steps=70))
    assert capsys.readouterr().err == "7 seeds, 70 steps\n"


def test_a_long_campaign_fails_if_there_is_something_that_no_seed_reached(
    simulation: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "JUDGED", 6)
    monkeypatch.setattr(command, "FAULTS_JUDGED", 6)
    code, told = simulation("--seeds 0:6")
    assert (code, "never reached: nothing" in told) == (1, False)
    assert "an outcome that fault " in told  # one struck, and all went as without it


def test_a_world_of_chosen_size_is_played_and_told(simulation: Run) -> None:
    options = "--seed 0 --faults none --features none --processes 1 --runs 1 --steps 2"
    code, told = simulation(options)
    assert code == 0
    world = {line.strip() for line in told.splitlines() if line.startswith("  ")}
    assert {"processes: 1", "runs: 1", "steps: 2", "faults:", "features:"} <= world
    assert told.splitlines()[-1].endswith(f"python -m trio_workflow.testing.simulation {options}")


def test_chosen_faults_and_features_are_the_worlds(simulation: Run) -> None:
    _, told = simulation("--seed 3 --faults slow,freeze --features none")
    assert re.search(r"^  faults: freeze, slow$", told, re.MULTILINE)


def test_one_seed_is_told_line_by_line(simulation: Run) -> None:
    events = simulation("--seed 8")[1].partition("its events:\n")[2].splitlines()[:-1]
    assert len(events) > 60
    assert "   0.000  " in events[0]
    assert max(map(len, events)) > 200  # in full


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--seeds 5", "it is first:last, such as 0:1000, not '5'"),
        ("--seeds a:b", "it is first:last"),
        ("--seeds 5:5", "there is no seed in '5:5'"),
        ("--jobs 0", "it is a whole number >= 1, not '0'"),
        ("--jobs x", "it is a whole number >= 1, not 'x'"),
        ("--seed 3 --runs 0", "it is a whole number >= 1, not '0'"),
        ("--seed 3 --faults bogus", "'bogus' is not a valid Fault: there are crash_before, "),
        ("--seed 3 --seeds 0:5", "not allowed with argument"),
        ("--faults none", "change the world of one --seed"),
    ],
)
def test_a_mistake_in_an_option_is_told(
    simulation: Run, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        simulation(options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_the_defaults(simulation: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        simulation("--help")
    told = capsys.readouterr().out
    for default in ("(0:1000)", "(inf)", "(1)"):
        assert default in told


def test_a_broken_engine_is_told_with_a_command_that_breaks_it_again(
    simulation: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that fails is never tried again, whatever its policy."""
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.complete.after_failure", lambda *about: None)
    code, told = simulation("--seeds 0:100")
    assert (code, "seeds that broke something: [" in told) == (1, True)
    again = re.search(r"to play it again: python -m trio_workflow\.testing\.simulation (.*)", told)
    assert again is not None
    code, replayed = simulation(again[1])
    assert code == 1
    assert replayed.splitlines()[-1].endswith(again[1])
    broken = [text.splitlines()[told_from(text)] for text in (told, replayed)]
    assert broken[0] == broken[1]


def told_from(text: str) -> int:
    """The line that says what broke first."""
    return next(i for i, line in enumerate(text.splitlines()) if line.endswith("broke something:")) + 1
