"""Imports go one way: down this list, or within one entry of it."""

import ast
import graphlib
from pathlib import Path

ROOT = Path(__file__).parent.parent / "trio_workflow"
LAYERS = [
    ("testing",),
    ("",),  # trio_workflow/__init__.py: the public names
    ("runtime",),
    ("store",),
    ("authoring",),
    ("artifacts", "projections"),
    ("rules",),
    ("model",),
    ("clock",),
    ("sqlite",),
    ("offload",),
    ("exhaustion", "single_run"),
    ("durable_folders", "errors", "filenames", "points", "source"),
]
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}


def imports() -> list[tuple[str, str]]:
    """Every (importing module, imported module) of the package."""
    found: list[tuple[str, str]] = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        package = parts[: len(parts) - 1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                target = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
                found.append((module, target))
            elif isinstance(node, ast.Import):
                found.extend((module, alias.name) for alias in node.names)
    return [(module, target) for module, target in found if target.split(".")[0] == "trio_workflow"]


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_no_module_imports_from_a_layer_above_its_own() -> None:
    upward = [
        f"{module} imports {target}"
        for module, target in imports()
        if DEPTH[layer(target)] < DEPTH[layer(module)]
    ]
    assert upward == []


def test_artifacts_and_projections_and_the_small_modules_do_not_import_each_others_insides() -> None:
    peers = [
        f"{module} imports {target}"
        for module, target in imports()
        if layer(target) != layer(module) and DEPTH[layer(target)] == DEPTH[layer(module)]
    ]
    assert peers == []


def test_there_are_no_import_cycles() -> None:
    graph: dict[str, set[str]] = {}
    for module, target in imports():
        if module != target and not module.startswith(f"{target}."):
            graph.setdefault(module, set()).add(target)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError naming the modules
