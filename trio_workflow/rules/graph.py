"""Whether asked-for steps form a graph, and what of them is to be stored.

Rule 1: of the steps with one dedup key only the first is kept, whatever their ids; a dropped one's id, where
no step has it, stands for the first.
Rule 2: a kept id is new to its run. Rule 3: a dependency is a step of the run, and not the step itself.
Rule 4: there is no cycle.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from trio_workflow.errors import GraphError
from trio_workflow.model.plan import Dependency, StepSpec


@attrs.frozen
class Known:
    """The part of a stored run that new steps can touch.

    ids: of those asked for, the ones that are taken, with the id of the step each stands for.
    dedup_keys: of those asked for, the ones in use, with the id of their step.
    """

    ids: Mapping[str, str] = attrs.field(factory=dict[str, str])
    dedup_keys: Mapping[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen
class Resolved:
    """steps: to be stored, in the order asked for, with dependencies on real ids, each once.

    aliases: an id that was dropped -> the id it stands for.
    """

    steps: tuple[StepSpec, ...]
    aliases: Mapping[str, str]


NOTHING = Known()


def resolve(specs: Sequence[StepSpec], known: Known = NOTHING) -> Resolved:
    """What of the specs is to be stored beside what is known; raises GraphError naming the step at fault."""
    kept, dropped = _drop_duplicates(specs, known)
    by_id = _unique(kept, known)
    aliases = {
        alias: first for alias, first in reversed(dropped) if alias not in by_id and alias not in known.ids
    }
    steps = tuple(
        attrs.evolve(spec, depends_on=_dependencies(spec, by_id, aliases, known)) if spec.depends_on else spec
        for spec in kept
    )
    _refuse_cycles(steps)
    return Resolved(steps, aliases)


def _drop_duplicates(specs: Sequence[StepSpec], known: Known) -> tuple[list[StepSpec], list[tuple[str, str]]]:
    first_of = dict(known.dedup_keys)
    kept: list[StepSpec] = []
    dropped: list[tuple[str, str]] = []
    for spec in specs:
        if spec.dedup_key and spec.dedup_key in first_of:
            dropped.append((spec.id, first_of[spec.dedup_key]))
            continue
        if spec.dedup_key:
            first_of[spec.dedup_key] = spec.id
        kept.append(spec)
    return kept, dropped


def _unique(kept: Iterable[StepSpec], known: Known) -> dict[str, StepSpec]:
    by_id: dict[str, StepSpec] = {}
    for spec in kept:
        if spec.id in known.ids:
            raise GraphError(f'step "{spec.id}" already exists in this run: choose another id')
        if spec.id in by_id:
            raise GraphError(f'step "{spec.id}" is defined twice: ids are unique within a run')
        by_id[spec.id] = spec
    return by_id


def _dependencies(
    spec: StepSpec, by_id: Mapping[str, StepSpec], aliases: Mapping[str, str], known: Known
) -> tuple[Dependency, ...]:
    """On real ids; of two on the same step one remains, required if either was."""
    required: dict[str, bool] = {}
    for dependency in spec.depends_on:
        wanted = dependency.step_id
        real = wanted if wanted in by_id else aliases.get(wanted) or known.ids.get(wanted)
        if real is None:
            raise GraphError(f'step "{spec.id}" depends on "{wanted}", which is not a step of this run')
        if real == spec.id:
            raise GraphError(f'step "{spec.id}" depends on itself')
        required[real] = required.get(real, False) or dependency.required
    return tuple(Dependency(step_id, needed) for step_id, needed in required.items())


def _refuse_cycles(steps: Sequence[StepSpec]) -> None:
    """Kahn's topological sort (1962): what is left when nothing more can be taken away lies on a cycle."""
    unmet = {spec.id: 0 for spec in steps}
    dependents: dict[str, list[str]] = {}
    for spec in steps:
        for dependency in spec.depends_on:
            if dependency.step_id in unmet:
                unmet[spec.id] += 1
                dependents.setdefault(dependency.step_id, []).append(spec.id)
    free = [step_id for step_id, count in unmet.items() if not count]
    while free:
        step_id = free.pop()
        del unmet[step_id]
        for dependent in dependents.get(step_id, ()):
            unmet[dependent] -= 1
            if not unmet[dependent]:
                free.append(dependent)
    if unmet:
        names = " -> ".join(f'"{step_id}"' for step_id in _cycle(steps, unmet))
        raise GraphError(f"steps depend on each other in a cycle: {names}")


def _cycle(steps: Sequence[StepSpec], left: Mapping[str, int]) -> list[str]:
    """Follow dependencies among what is left until a step is met again."""
    needs = {
        spec.id: [d.step_id for d in spec.depends_on if d.step_id in left]
        for spec in steps
        if spec.id in left
    }
    path: list[str] = []
    seen: dict[str, int] = {}
    step_id = next(iter(left))
    while step_id not in seen:
        seen[step_id] = len(path)
        path.append(step_id)
        step_id = needs[step_id][0]
    return [*path[seen[step_id] :], step_id]
