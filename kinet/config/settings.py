"""What all settings have: plain dictionaries of them, and one wording for a value out of range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from kinet.errors import SettingsError, unknown_name

C = TypeVar("C", bound="Settings")


class Settings:
    """To and from plain dictionaries, for JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        values = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """Build from `to_dict`'s values; names that do not exist are refused."""
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise SettingsError(unknown_name("setting", name, known))
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def require(condition: bool, setting: str, value: object, allowed: str) -> None:
    """Refuse a value that does not fit.

    Raises
    ------
    SettingsError
        If the condition does not hold.
    """
    if not condition:
        raise SettingsError(f"{setting} is {value!r}; allowed: {allowed}")


def is_number(value: object) -> bool:
    """Whether this is a number; True and False are none.

    Examples
    --------
    >>> is_number(0.5), is_number(True), is_number("1")
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_from(least: float, value: object, end: float = math.inf) -> bool:
    """Whether this is a number from `least` to below `end`.

    Examples
    --------
    >>> is_from(0, 0.0, 1), is_from(0, 1, 1), is_from(0, float("nan"))
    (True, False, False)
    """
    return is_number(value) and least <= value < end  # type: ignore[operator]


def is_count(value: object, least: int = 1) -> bool:
    """Whether this is an integer from `least` on.

    Examples
    --------
    >>> is_count(1), is_count(0), is_count(1.0)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
