"""The packages and executors that a runtime has."""

from collections.abc import Mapping
from typing import Any

from trio_workflow.authoring.executor import Executor
from trio_workflow.authoring.package import Package
from trio_workflow.errors import ConfigError, OptionError, PackageNotFoundError
from trio_workflow.model.payload import require_name


class Registry:
    """Grows, and never changes what it has."""

    def __init__(self) -> None:
        self._packages: dict[str, Package] = {}
        self._executors: dict[str, Executor[..., Any]] = {}
        self.kinds: frozenset[str] = frozenset()

    def add_package(self, package: Package) -> None:
        """Add a package and its executors, or raise ConfigError and add nothing."""
        if not isinstance(package, Package):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
            raise ConfigError(f"register_package takes a Package, not {package!r}")
        if not package.name:
            raise ConfigError("workflow package name is required")
        try:
            require_name("workflow package name", package.name)
        except OptionError as error:
            raise ConfigError(str(error)) from None
        if package.start is None:
            raise ConfigError(f'workflow package "{package.name}" entrypoint is required')
        if package.name in self._packages:
            raise ConfigError(f'workflow package "{package.name}" is already registered')
        package.start.check()
        self._add_executors(package.executors)
        self._packages[package.name] = package

    def add_executor(self, executor: Executor[..., Any]) -> None:
        """Raises ConfigError for a kind that is taken or an input type that cannot be structured."""
        if not isinstance(executor, Executor):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
            raise ConfigError(
                f'register_executor takes what @executor("KIND") makes of a function, not {executor!r}'
            )
        self._add_executors({executor.kind: executor})

    def _add_executors(self, executors: Mapping[str, Executor[..., Any]]) -> None:
        for kind, executor in executors.items():
            if kind in self._executors:
                raise ConfigError(f'executor kind "{kind}" is already registered')
            executor.wraps.check()
        self._executors.update(executors)
        self.kinds = frozenset(self._executors)

    def package(self, name: str) -> Package:
        try:
            return self._packages[name]
        except KeyError:
            raise PackageNotFoundError(f'workflow package "{name}" is not registered') from None

    def executor(self, kind: str) -> Executor[..., Any]:
        return self._executors[kind]
