"""Plug-ins by name: the entry points of a group of every installed package, Inferhub's own among them.

    [project.entry-points."inferhub.steps"]
    celsius = "my_package.steps:Celsius"

Where Inferhub runs from a bare folder, its own are read from the folder's pyproject.toml: one list, and no installation
needed. A name belongs to one package: of two that claim it neither is taken.
"""

import tomllib
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from inferhub.lib.describe import describe, listed

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Plugins(Generic[T]):
    """The plug-ins of one group, each loaded once. `prepare` makes of what an entry point names what callers want."""

    def __init__(self, group: str, prepare: Callable[[Any], T]) -> None:
        self.group = group
        self._prepare = prepare
        self._loaded: dict[str, T | None] = {}

    def find(self, name: object) -> T | None:
        """None where no package, more than one, or a broken one offers it: the others must not suffer from that."""
        if not isinstance(name, str):
            return None
        if name not in self._loaded:
            points = self._points.get(name, ())
            self._loaded[name] = self._load(points[0]) if len(points) == 1 else None
        return self._loaded[name]

    def describe(self, name: object) -> str:
        """What `name` is, in words for an error, where `find` finds nothing."""
        points = self._points.get(name, ()) if isinstance(name, str) else ()
        if not points:
            return describe(name)
        problem = "cannot be loaded" if len(points) == 1 else f"{len(points)} packages claim"
        return f"'{name}', which {problem}: {listed(point.value for point in points)}"

    def names(self) -> list[str]:
        """Of all that can be used, in order."""
        return sorted(name for name in self._points if self.find(name) is not None)

    def forget(self) -> None:
        """Look again at what is installed: for tests."""
        self.__dict__.pop("_points", None)
        self._loaded.clear()

    @cached_property
    def _points(self) -> dict[str, tuple[EntryPoint, ...]]:
        known: dict[str, tuple[EntryPoint, ...]] = {}
        for point in dict.fromkeys((*self._own_from_folder(), *entry_points(group=self.group))):
            known[point.name] = (*known.get(point.name, ()), point)
        return known

    def _load(self, point: EntryPoint) -> T | None:
        try:
            return self._prepare(point.load())
        except Exception as exc:  # whatever another package does when it is loaded
            log.warning(
                "a plug-in cannot be loaded", group=self.group, name=point.name, value=point.value, exc_info=exc
            )
            return None

    def _own_from_folder(self) -> list[EntryPoint]:
        try:
            distribution("inferhub")
        except PackageNotFoundError:
            table = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][self.group]
            return [EntryPoint(name=name, value=value, group=self.group) for name, value in table.items()]
        return []
