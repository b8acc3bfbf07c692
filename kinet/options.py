"""The options of a plug-in: numbers with names, which users set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kinet.errors import SettingsError, unknown_name


def chosen_options(
    owner: str, defaults: Mapping[str, float], given: Mapping[str, float]
) -> dict[str, float]:
    """The options of a plug-in: `given` in place of `defaults`.

    Parameters
    ----------
    owner : str
        Whose options they are, for messages, such as ``loss triplet``.
    defaults : mapping of str to float
        All options that there are. One whose default is an ``int`` is a whole number.
    given : mapping of str to float
        Those that are set.

    Raises
    ------
    SettingsError
        If there is no option of a name, or a value is not a number of its kind.

    Examples
    --------
    >>> chosen_options("block example", {"expansion": 4, "rate": 0.5}, {"expansion": 6.0})
    {'expansion': 6, 'rate': 0.5}
    """
    chosen = dict(defaults)
    for name, value in given.items():
        if name not in defaults:
            raise SettingsError(unknown_name(f"option of the {owner}", name, defaults))
        whole = isinstance(defaults[name], int)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or (whole and value != int(value)):
            allowed = "a whole number" if whole else "a number"
            raise SettingsError(
                f"option {name} of the {owner} is {value!r}; allowed: {allowed}, such as "
                f"{defaults[name]!r}"
            )
        chosen[name] = int(value) if whole else float(value)
    return chosen
