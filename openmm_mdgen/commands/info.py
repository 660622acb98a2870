"""``openmm-mdgen info``: what a file or folder of this package is, and how it was made."""

from __future__ import annotations

import json as to_json
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

_WIDTH, _INDENT = 100, 18


def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="Weights, a trajectory with its manifest, a checkpoint, a start, a manifest, or the folder of a run."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, for other programs.")] = False,
) -> None:
    """Tell what a file or folder is, and how it was made: command, versions, seed, weights, settings, warnings."""
    from openmm_mdgen.commands.known_files import facts_of

    facts = facts_of(path)
    typer.echo(to_json.dumps(facts, indent=1, ensure_ascii=False, default=str) if json else "\n".join(_lines(facts)))


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = []
    for label, value in facts.items():
        if value is None:
            continue
        text = f"{label.replace('_', ' '):<{_INDENT}}{_shown(value)}"
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent=" " * _INDENT, break_long_words=False) or [text]
    return lines


def _shown(value: Any) -> str:
    """A value in words; without values that say nothing."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {_shown(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
