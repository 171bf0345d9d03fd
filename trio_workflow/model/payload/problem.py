"""What is wrong with a value, and where in it.

Rule 1: a writer or a hook raises Problem with a sentence; it knows nothing of where it stands.
Rule 2: whoever holds the part (a list, a field) adds one step of the path as the exception passes.
Rule 3: nothing but Problem leaves a part: what a user's class raises is turned into one on the way.
"""

from trio_workflow.errors import PayloadError

from .texts import brief, clean_text

# How deep lists and objects may be nested, for writing and reading alike. Python's default recursion limit
# of 1000 leaves room for it: at most three frames per level are in use, and the caller has the rest.
MAX_DEPTH = 200

# Enough to mend a value; a list of a million wrong items must not make a message of a million lines.
MAX_PROBLEMS = 5

_MAX_PATH = 300
TOO_DEEP = f"lists and objects nested more than {MAX_DEPTH} deep, or a value that contains itself"


class Problem(Exception):  # noqa: N818 - it never leaves the package; PayloadError does
    """One or more sentences, each with the steps of its path from the inside outwards."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.found: list[tuple[list[str], str]] = [([], sentence)]

    def under(self, step: str) -> "Problem":
        for steps, _ in self.found:
            steps.append(step)
        return self

    def as_error(self) -> PayloadError:
        lines = [f"at {_path(steps)}: {sentence}" for steps, sentence in self.found[:MAX_PROBLEMS]]
        return PayloadError("; ".join(lines))


def problem_from(exc: Exception) -> Problem:
    """Whatever a part raised, as a Problem."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, RecursionError):
        return Problem(TOO_DEEP)
    # On one line, whatever the exception's text is like.
    return Problem(f"{type(exc).__name__} was raised: {' '.join(clean_text(exc, 200).split())}")


def joined(problems: list[Problem]) -> Problem:
    """Several problems as one. The list is not empty.

    Always a new exception: cattrs adds a note with the field's name to what passes through a class, and
    believes the first note it finds.
    """
    whole = Problem("")
    whole.found = [found for problem in problems for found in problem.found][:MAX_PROBLEMS]
    return whole


def mismatch(expected: str, raw: object) -> Problem:
    shown = "null" if raw is None else f"{type(raw).__name__} {brief(raw)}"
    return Problem(f"expected {expected}, got {shown}")


def key_step(key: str) -> str:
    """The step of a path that leads to an object's key."""
    return f".{key}" if key.isidentifier() else f"[{brief(key)}]"


def _path(steps: list[str]) -> str:
    path = "$" + "".join(reversed(steps))
    if len(path) > _MAX_PATH:
        path = f"{path[: _MAX_PATH // 2]} … {path[-_MAX_PATH // 2 :]}"
    return clean_text(path)
