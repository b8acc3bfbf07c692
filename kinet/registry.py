"""Names to plug-ins: of installed packages through entry points, and of this process.

Those of packages are listed without importing, and loaded once, when asked for.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from kinet.errors import PluginError, first_line, unknown_name

T = TypeVar("T")

#: How long `Registry.listing` waits for a plug-in to be imported, in seconds.
PATIENCE = 30.0


@dataclass(frozen=True)
class Origin:
    """Where a plug-in comes from: an installed distribution, or what registered it in this process.

    Attributes
    ----------
    distribution, version : str
        Of the distribution; empty without one.
    file : str
        The Python file that called `Registry.register`; empty for a distribution's, and for what
        was registered where there is no file, as in a notebook.

    Examples
    --------
    >>> str(Origin("kinet-plugin-dilated", "0.1.0")), str(Origin(file="crossed.py"))
    ('kinet-plugin-dilated 0.1.0', 'crossed.py')
    """

    distribution: str = ""
    version: str = ""
    file: str = ""

    def __str__(self) -> str:
        if self.distribution:
            return f"{self.distribution} {self.version}"
        return self.file or "a running process"


@dataclass(frozen=True)
class Listing:
    """One line of ``kinet plugins``.

    Attributes
    ----------
    name, kind : str
        The registered name; ``block``, ``attention``, ``loss`` or ``data set``.
    distribution, version, file : str
        Where it comes from, as in `Origin`.
    description : str
        One line by its author; empty if it cannot be loaded.
    problem : str
        Why it cannot be used; empty if it can.
    """

    name: str
    kind: str
    distribution: str
    version: str
    file: str
    description: str
    problem: str


class Registry(Generic[T]):
    """The plug-ins of one kind: those of an entry-point group, and those registered here.

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
        self._registered: dict[str, tuple[T, Origin]] = {}

    def register(self, plugin: T) -> T:
        """Make a plug-in known by its name in this process, without a package.

        Parameters
        ----------
        plugin : object
            An instance of the contract. Once more the same object is no error.

        Returns
        -------
        object
            `plugin`.

        Raises
        ------
        PluginError
            If it is something else, or its name is taken.

        Examples
        --------
        >>> from kinet import blocks
        >>> block = blocks.register(
        ...     blocks.Block("example", "1x1 first", lambda x, stage: stage.conv(x))
        ... )
        >>> blocks.registry.get("example") is block
        True
        >>> blocks.registry.unregister("example")
        """
        caller = sys._getframe(1).f_code.co_filename
        self._require_contract(plugin, f"the {self.kind} to register")
        name = plugin.name  # type: ignore[attr-defined]
        if name in self._registered:
            there, origin = self._registered[name]
            if there is plugin:
                return plugin
            raise PluginError(
                f"{self.kind} {name!r} is registered already, by {origin.file or 'this process'}; "
                "give yours another name, or first take that one out: "
                f"{self.group}.registry.unregister({name!r})"
            )
        taken = [entry for entry in self._entries() if entry.name == name]
        if taken:
            raise PluginError(
                f"{self.kind} {name!r} is the name of one of {_origin(taken[0])}; give yours "
                "another name"
            )
        # A cell of a notebook has a name that only looks like a file's.
        file = str(Path(caller).resolve()) if Path(caller).is_file() else ""
        self._registered[name] = plugin, Origin(file=file)
        return plugin

    def unregister(self, name: str) -> None:
        """Take out what `register` put in.

        Raises
        ------
        PluginError
            If nothing of that name was registered in this process.
        """
        if name not in self._registered:
            known = self._registered
            raise PluginError(unknown_name(f"{self.kind} of this process", name, known))
        del self._registered[name]

    @contextlib.contextmanager
    def registered(self, plugin: T) -> Iterator[None]:
        """Within this, `plugin` is registered; its name may be one that is taken.

        For tests, and to try a plug-in: afterwards all is as it was.
        """
        name = plugin.name  # type: ignore[attr-defined]
        before = self._registered.get(name)
        self._registered[name] = plugin, Origin()
        try:
            yield
        finally:
            del self._registered[name]
            if before is not None:
                self._registered[name] = before

    def names(self) -> list[str]:
        """All names, sorted, without importing any plug-in."""
        return sorted({*self._registered, *(entry.name for entry in self._entries())})

    def registered_names(self) -> list[str]:
        """Those of `names` that were registered in this process, sorted."""
        return sorted(self._registered)

    def origin(self, name: str) -> Origin:
        """What registers `name`.

        Raises
        ------
        PluginError
            If the name is unknown or claimed by two distributions.
        """
        if name in self._registered:
            return self._registered[name][1]
        return _origin(self._entry(name))

    def get(self, name: str) -> T:
        """The plug-in `name`, imported on the first call.

        Raises
        ------
        PluginError
            If the name is unknown, claimed by two distributions, or its plug-in fails to import
            or is not an instance of the contract.
        """
        if name in self._registered:
            return self._registered[name][0]
        if name not in self._loaded:
            with printing_to_stderr():
                self._loaded[name] = self._load(self._entry(name))
        return self._loaded[name]

    def listing(self, patience: float = PATIENCE) -> list[Listing]:
        """Every plug-in, broken ones with their cause.

        Parameters
        ----------
        patience : float
            Seconds after which a plug-in that is still being imported counts as broken.
        """
        rows = [
            self._row(name, origin, plugin)
            for name, (plugin, origin) in sorted(self._registered.items())
        ]
        for entry in self._entries():
            if entry.name in self._registered:
                continue
            try:
                self._entry(entry.name)
                plugin = self._loaded.get(entry.name) or self._load_in_time(entry, patience)
            except PluginError as error:
                rows.append(self._row(entry.name, _origin(entry), None, str(error)))
            else:
                rows.append(self._row(entry.name, _origin(entry), plugin))
        return sorted(rows, key=lambda row: row.name)

    def _row(self, name: str, origin: Origin, plugin: T | None, problem: str = "") -> Listing:
        description = getattr(plugin, "description", "")
        return Listing(name, self.kind, **vars(origin), description=description, problem=problem)

    def _entries(self) -> list[importlib.metadata.EntryPoint]:
        # The same distribution can be seen twice (an editable install on sys.path twice).
        seen = {}
        for entry in importlib.metadata.entry_points(group=self.group):
            seen[entry.name, entry.value, _origin(entry)] = entry
        return sorted(seen.values(), key=lambda entry: (entry.name, str(_origin(entry))))

    def _entry(self, name: str) -> importlib.metadata.EntryPoint:
        found = [entry for entry in self._entries() if entry.name == name]
        if not found:
            raise PluginError(
                f"{unknown_name(self.kind, name, self.names())}. One that a file of your own "
                "registers: --plugin FILE.py"
            )
        if len(found) > 1:
            claims = " and ".join(str(_origin(entry)) for entry in found)
            raise PluginError(f"{self.kind} {name!r} is claimed by {claims}; uninstall one of them")
        return found[0]

    def _load_in_time(self, entry: importlib.metadata.EntryPoint, patience: float) -> T:
        """As `_load`, in a thread that is left alone if it does not end."""
        outcome: list[T | PluginError] = []

        def load() -> None:
            try:
                outcome.append(self._load(entry))
            except PluginError as error:
                outcome.append(error)

        thread = threading.Thread(target=load, daemon=True)
        with printing_to_stderr():
            thread.start()
            thread.join(patience)
        if not outcome:
            raise PluginError(
                f"{self._where(entry)} cannot be loaded: still being imported after {patience:g} s"
            )
        if isinstance(outcome[0], PluginError):
            raise outcome[0]
        return outcome[0]

    def _load(self, entry: importlib.metadata.EntryPoint) -> T:
        where = self._where(entry)
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:
            raise PluginError(f"{where} cannot be loaded: {first_line(error)}") from error
        self._require_contract(plugin, where)
        if plugin.name != entry.name:
            raise PluginError(
                f"{where} calls itself {plugin.name!r}; the name must be that of its entry point"
            )
        return plugin

    def _where(self, entry: importlib.metadata.EntryPoint) -> str:
        return f"{self.kind} {entry.name!r} of {_origin(entry)}"

    def _require_contract(self, plugin: object, where: str) -> None:
        if not isinstance(plugin, self._contract):
            raise PluginError(
                f"{where} is a {type(plugin).__name__}; it must be a "
                f"{self._contract.__module__}.{self._contract.__qualname__}"
            )


def printing_to_stderr() -> contextlib.AbstractContextManager[object]:
    """Within this, what foreign code prints goes to stderr: stdout is the result of a command."""
    return contextlib.redirect_stdout(sys.stderr)


def _origin(entry: importlib.metadata.EntryPoint) -> Origin:
    distribution = entry.dist
    return (
        Origin(distribution.name, distribution.version) if distribution else Origin("unknown", "?")
    )
