"""``openmm-mdgen weights``: which weights there are, and published ones fetched ahead of their use."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.commands.from_settings import GroupedCommand
from openmm_mdgen.commands.options import Force, Json
from openmm_mdgen.commands.outputs import check_outputs, teller, write_numbers
from openmm_mdgen.commands.terminal import line_width
from openmm_mdgen.commands.words import GroupOfCommands
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import sha256_of

if TYPE_CHECKING:
    from openmm_mdgen.model.catalogue import Entry

_WIDTH = 80
_ROW = "{:<27}{:<19}{:<9}{:<8}{}"
_HEADINGS = {
    "bundled": "With this version",
    "cached": "Fetched, in the cache",
    "not fetched": "Published, fetched when they are first used",
}

weights = typer.Typer(no_args_is_help=False, rich_markup_mode=None, cls=GroupOfCommands)


@weights.callback(invoke_without_command=True)
def list_weights(context: typer.Context, json: Json = None, force: Force = False) -> None:
    """List the weights that can be used by name: bundled, cached and published ones.

    Each has its task, residues of a chain, time between frames, temperature, size, force field and solvent.
    """
    if context.invoked_subcommand is not None:
        return
    from openmm_mdgen.model.catalogue import entries

    check_outputs([("--json", json)], force=force)
    found = entries()
    teller(json)("\n".join(_table(found)))
    write_numbers(json, [asdict(entry) for entry in found])


@weights.command(cls=GroupedCommand)
def fetch(
    name: Annotated[
        str, typer.Argument(help="Name such as mdgen/forward_sim, or hf://owner/repository/file for any other file.")
    ],
) -> None:
    """Fetch published weights into the cache, or a newer version of those that are there.

    After that they are used without a network. The cache is that of the Hugging Face hub (HF_HOME).
    """
    from openmm_mdgen.model import checkpoints, hub
    from openmm_mdgen.model.known import KNOWN

    if name not in KNOWN and not name.startswith(hub.PREFIX):
        raise MDGenError(
            f"{name}: fetch takes {', '.join(KNOWN)} or hf://owner/repository/file; other weights are on this machine"
        )
    path = checkpoints.fetched(name, newest=True)
    typer.echo(f"{name}: {_size(path.stat().st_size)}, SHA-256 {sha256_of(path)}\n{path}")


@weights.command(cls=GroupedCommand)
def show(
    name: Annotated[str, typer.Argument(help="Name of weights, or a file of weights.")],
    json: Json = None,
    force: Force = False,
) -> None:
    """Show all that is known of weights, without fetching them: what they are for, and how they were trained."""
    from pathlib import Path

    from openmm_mdgen.model.catalogue import entry_of

    check_outputs([("--json", json)], force=force)
    entry = entry_of(name)
    values = asdict(entry) | {"sha256": None if entry.path is None else sha256_of(Path(entry.path))}
    teller(json)("\n".join(_page(entry, values["sha256"])))
    write_numbers(json, values)


def _table(entries: list[Entry]) -> list[str]:
    lines = [_ROW.format("NAME", "TASK", "RESIDUES", "FRAME", _ends("TEMP.", "SIZE"))]
    for place, heading in _HEADINGS.items():
        rows = [entry for entry in entries if entry.place == place]
        lines += ["", heading] if rows else []
        for entry in rows:
            lines += _rows(entry)
    lines.append("")
    for licence, citation in dict.fromkeys((entry.licence, entry.citation) for entry in entries):
        names = [entry.name for entry in entries if (entry.licence, entry.citation) == (licence, citation)]
        lines += textwrap.wrap(f"Licence: {licence}. Citation: {citation} ({', '.join(names)}).", line_width(_WIDTH))
    return lines


def _ends(temperature: str, size: str) -> str:
    """The last two columns: a size ends where the others end, if a range of temperatures leaves it the room."""
    return temperature + f" {size}".rjust(14 - len(temperature))


def _kelvin(entry: Entry) -> str:
    low, high = entry.temperature_range
    return f"{low:g} K" if low == high else f"{low:g}-{high:g} K"


def _rows(entry: Entry) -> list[str]:
    """Name and numbers, and below them the force field with its solvent."""
    values = (
        entry.task,
        entry.chain_lengths,
        f"{entry.frame_interval:g} ps",
        _ends(_kelvin(entry), _size(entry.size)),
    )
    first = [entry.name, _ROW.format("", *values)] if len(entry.name) > 26 else [_ROW.format(entry.name, *values)]
    return [line.rstrip() for line in [*first, f"    {entry.force_field}"]]


def _page(entry: Entry, checksum: str | None) -> list[str]:
    size = f"{_size(entry.size)}, {entry.n_parameters} trained numbers"
    values = {
        "name": entry.name,
        "file": entry.path or f"not fetched: 'openmm-mdgen weights fetch {entry.name}' does, and so does first use",
        "SHA-256": checksum or "known when it is fetched",
        "size": size if entry.path else f"about {size}",
        "task": entry.task,
        "residues": entry.chain_lengths,
        "frames": f"{entry.n_frames} in a segment, {entry.frame_interval:g} ps apart",
        "trained at": _kelvin(entry),
        "force field": entry.force_field,
        "conditions": entry.source or "as the file states them",
        "licence": entry.licence,
        "citation": entry.citation,
    }
    lines, width = [], line_width(_WIDTH)
    for label, value in values.items():
        indented = f"{label:<13}{value}"
        lines += textwrap.wrap(indented, width, subsequent_indent=" " * 13, break_long_words=False) or [indented]
    return lines


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 1e7 else f"{n_bytes / 1e6:.1f} MB"
