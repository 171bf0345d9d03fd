"""What must be so after a load run: each check is a function of the facts that yields what breaks it."""

from collections.abc import Callable, Iterator

from chaos.audit import (
    Finding,
    a_step_succeeded_once,
    artifacts_have_their_bytes,
    attempts_follow_each_other,
)
from chaos.facts import Facts as Stored

from .audit_processes import PROCESS_CHECKS
from .audit_removal import REMOVAL_CHECKS
from .audit_runs import RUN_CHECKS
from .facts import Facts

Check = Callable[[Facts], Iterator[str]]


def nobody_complained(facts: Facts) -> Iterator[str]:
    """Neither the engine's own check at the end, nor SQLite's."""
    yield from facts.complaints


def reads_kept_their_promises(facts: Facts) -> Iterator[str]:
    """What clients and backups noted as wrong while the load went on."""
    for entry in facts.of("wrong"):
        yield entry["message"]


STORED_CHECKS: tuple[Callable[[Stored], Iterator[str]], ...] = (
    a_step_succeeded_once,
    attempts_follow_each_other,
    artifacts_have_their_bytes,
)
"""Checks of the chaos tests that hold here too."""

CHECKS: tuple[Check, ...] = (
    *PROCESS_CHECKS,
    nobody_complained,
    reads_kept_their_promises,
    *REMOVAL_CHECKS,
    *RUN_CHECKS,
)


def audit(facts: Facts) -> list[Finding]:
    """A database that cannot be read is one finding, and no finding for each run that it had."""
    found = [Finding(_name(check), message) for check in CHECKS for message in check(facts)]
    if facts.stored is not None:
        found += [
            Finding(_name(check), message) for check in STORED_CHECKS for message in check(facts.stored)
        ]
    return found


def _name(check: Callable[..., object]) -> str:
    return check.__name__.replace("_", " ")
