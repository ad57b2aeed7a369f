"""Plug-ins by Python entry points: restorers, captioners and scorers found by name.

A family is an entry-point group ("restar.restorers", "restar.captioners", "restar.scorers"); each
entry names a class that needs no arguments. Nothing is imported until a plug-in is asked for, so a
family may hold members whose libraries are not installed.
"""

from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from restar.errors import PluginError

__all__ = ["Family", "load_plugin", "plugin_names"]

Family = Literal["restorers", "captioners", "scorers"]


def plugin_names(family: Family) -> tuple[str, ...]:
    """Return the names of a family's members, sorted, without importing any."""
    return tuple(sorted({entry.name for entry in _entries(family)}))


@lru_cache(maxsize=64)
def load_plugin(family: Family, name: str) -> Any:
    """Return the class of a plug-in; raise PluginError if unknown or not importable here."""
    for entry in _entries(family):
        if entry.name == name:
            try:
                return entry.load()
            except ImportError as error:
                raise PluginError(
                    f"{family[:-1]} '{name}' needs a package that is not installed: {error}"
                ) from error
    known = ", ".join(plugin_names(family)) or "none"
    raise PluginError(f"{family[:-1]} '{name}' is not known; installed: {known}")


def _entries(family: Family) -> Iterator[EntryPoint]:
    return iter(entry_points(group=f"restar.{family}"))
