"""What the options of several benchmarks have in common."""

from __future__ import annotations

from typing import Any

import click

from kinet.attention import registry as attention_modules
from kinet.config import ModelConfig

# What is measured unless options say otherwise: the size of the original.
FULL_SIZE = ModelConfig.original()


def several(values: tuple[str, ...], default: tuple[str, ...]) -> dict[str, Any]:
    """Settings of an option that can be given several times, with these values."""
    return {
        "type": click.Choice(values),
        "multiple": True,
        "default": default,
        "show_default": True,
    }


def attention_names(value: str) -> tuple[str, ...]:
    """Attention modules from their names with commas between, or "none"; no other names."""
    names = tuple(name for name in value.split(",") if name not in ("", "none"))
    known = attention_modules.names()
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not one of none, {', '.join(known)}")
    return names


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return attention_names(value)


attention_option = click.option(
    "--attention",
    default=",".join(FULL_SIZE.attention),
    show_default=True,
    callback=_names,
    help="Attention modules, or none.",
)
