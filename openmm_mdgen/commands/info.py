"""``openmm-mdgen info``: what a file or folder of this package is, and how it was made."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from openmm_mdgen.commands.options import Force, Json
from openmm_mdgen.commands.outputs import check_outputs, teller, write_numbers
from openmm_mdgen.commands.terminal import line_width

_WIDTH, _INDENT = 100, 20
_UNITS = {"temperature": " K", "frame_interval": " ps"}


def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="Weights, a trajectory with its manifest, a checkpoint, a start, a manifest, or the folder of a run."
        ),
    ],
    json: Json = None,
    force: Force = False,
) -> None:
    """Tell what a file or folder is, and how it was made: command, versions, seed, weights, settings, warnings."""
    from openmm_mdgen.commands.known_files import facts_of

    check_outputs([("--json", json)], inputs=[path], force=force)
    facts = facts_of(path)
    say = teller(json)
    for line in _lines(facts):
        say(line)
    write_numbers(json, _plain(facts))


def _plain(value: Any) -> Any:
    """As JSON has it: numbers that it does not know are null, other objects are their text."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def _lines(facts: dict[str, Any]) -> list[str]:
    lines, width = [], line_width(_WIDTH)
    for label, value in facts.items():
        if value is None or value in ([], ()):
            continue
        text = f"{label.replace('_', ' '):<{_INDENT}}{_shown(value)}{_unit(label, value)}"
        lines += textwrap.wrap(text, width, subsequent_indent=" " * _INDENT, break_long_words=False) or [text]
    return lines


def _unit(name: object, value: Any) -> str:
    """The unit of a number that is stored without it, after a space."""
    return _UNITS.get(str(name), "") if isinstance(value, int | float) else ""


def _shown(value: Any) -> str:
    """A value in words; without values that say nothing."""
    if isinstance(value, dict):
        told = ((name, one) for name, one in value.items() if one not in (None, []))
        return "; ".join(f"{name} {_shown(one)}{_unit(name, one)}" for name, one in told)
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
