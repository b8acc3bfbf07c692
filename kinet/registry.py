"""Names to plug-ins through entry points: listed without importing, loaded once, when asked for."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from kinet.errors import PluginError, unknown_name

T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """One line of ``kinet plugins``.

    Attributes
    ----------
    name, kind, distribution, version : str
        The registered name, ``block``, ``attention`` or ``loss``, and where it comes from.
    description : str
        One line by its author; empty if it cannot be loaded.
    problem : str
        Why it cannot be used; empty if it can.
    """

    name: str
    kind: str
    distribution: str
    version: str
    description: str
    problem: str


class Registry(Generic[T]):
    """The plug-ins of one entry-point group.

    Parameters
    ----------
    group : str
        The entry-point group, such as ``kinet.blocks``.
    kind : str
        What one of them is called in messages, such as ``block``.
    contract : type
        The class that a plug-in must be an instance of.
    """

    def __init__(self, group: str, kind: str, contract: type[T]) -> None:
        self.group = group
        self.kind = kind
        self._contract = contract
        self._loaded: dict[str, T] = {}

    def _entries(self) -> list[importlib.metadata.EntryPoint]:
        # The same distribution can be seen twice (an editable install on sys.path twice).
        seen = {}
        for entry in importlib.metadata.entry_points(group=self.group):
            seen[entry.name, entry.value, _source(entry)] = entry
        return sorted(seen.values(), key=lambda entry: (entry.name, _source(entry)))

    def names(self) -> list[str]:
        """All registered names, sorted, without importing any plug-in."""
        return sorted({entry.name for entry in self._entries()})

    def source(self, name: str) -> tuple[str, str]:
        """Distribution and version that register `name`.

        Raises
        ------
        PluginError
            If the name is unknown or claimed by two distributions.
        """
        return _source(self._entry(name))

    def get(self, name: str) -> T:
        """The plug-in `name`, imported on the first call.

        Raises
        ------
        PluginError
            If the name is unknown, claimed by two distributions, or its plug-in fails to import
            or is not an instance of the contract.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(self._entry(name))
        return self._loaded[name]

    @contextlib.contextmanager
    def registered(self, plugin: T) -> Iterator[None]:
        """Within this, `get` gives `plugin` for its name, registered or not.

        For the tests of its author: nothing has to be installed.
        """
        name = plugin.name  # type: ignore[attr-defined]
        before = self._loaded.get(name)
        self._loaded[name] = plugin
        try:
            yield
        finally:
            del self._loaded[name]
            if before is not None:
                self._loaded[name] = before

    def listing(self) -> list[Listing]:
        """Every registered plug-in, broken ones with their cause."""
        rows = []
        for entry in self._entries():
            distribution, version = _source(entry)
            description = problem = ""
            try:
                self._entry(entry.name)
                description = getattr(self._load(entry), "description", "")
            except PluginError as error:
                problem = str(error)
            rows.append(Listing(entry.name, self.kind, distribution, version, description, problem))
        return rows

    def _entry(self, name: str) -> importlib.metadata.EntryPoint:
        found = [entry for entry in self._entries() if entry.name == name]
        if not found:
            raise PluginError(unknown_name(self.kind, name, self.names()))
        if len(found) > 1:
            claims = " and ".join(" ".join(_source(entry)) for entry in found)
            raise PluginError(f"{self.kind} {name!r} is claimed by {claims}; uninstall one of them")
        return found[0]

    def _load(self, entry: importlib.metadata.EntryPoint) -> T:
        where = f"{self.kind} {entry.name!r} of {' '.join(_source(entry))}"
        try:
            plugin = entry.load()
        except Exception as error:
            cause = str(error).splitlines()[0] if str(error) else "no message"
            raise PluginError(
                f"{where} cannot be loaded: {type(error).__name__}: {cause}"
            ) from error
        if not isinstance(plugin, self._contract):
            raise PluginError(
                f"{where} is a {type(plugin).__name__}; it must be a "
                f"{self._contract.__module__}.{self._contract.__qualname__}"
            )
        if plugin.name != entry.name:  # type: ignore[attr-defined]
            raise PluginError(
                f"{where} calls itself {plugin.name!r}; "  # type: ignore[attr-defined]
                "the name must be that of its entry point"
            )
        return plugin


def _source(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    distribution = entry.dist
    return (distribution.name, distribution.version) if distribution else ("unknown", "?")
