"""Structures that commands are given: files, sequences, and topologies with positions from a second file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import require_file

if TYPE_CHECKING:
    from openmm_mdgen.md.prepare import Source

Positions = Annotated[
    list[Path] | None,
    typer.Option(
        help="File of the positions (.rst7, .inpcrd, .crd, .pdb) for a .prmtop or .psf file; given once for each of "
        "them, in their order."
    ),
]
Parameters = Annotated[
    list[Path] | None, typer.Option(help="CHARMM parameter file for .psf files; can be given several times.")
]


def with_files(
    structures: Sequence[str], positions: Sequence[Path] | None, parameters: Sequence[Path] | None
) -> list[Source]:
    """Structures with the files that belong to them.

    Parameters
    ----------
    structures : sequence of str
        Files and sequences.
    positions : sequence of Path, optional
        One for each AMBER or CHARMM topology among the structures.
    parameters : sequence of Path, optional
        CHARMM's parameter files, for all of them.

    Raises
    ------
    MDGenError
        If there are not as many files of positions as topologies, or files that go with none.
    """
    from openmm_mdgen.md.prepare import Source

    found = [Source(structure) for structure in structures]
    topologies = [source.name for source in found if source.has_own_field]
    for topology in topologies:
        require_file(topology)
    given = list(positions or ())
    if len(given) < len(topologies):
        raise MDGenError(
            f"{topologies[len(given)]} holds no positions: give the file of them, such as --positions x.rst7"
        )
    if len(given) > len(topologies):
        raise MDGenError(
            f"--positions {given[len(topologies)]} goes with no structure: it is for AMBER's .prmtop and CHARMM's .psf "
            "files alone, once for each of them"
        )
    if parameters and not any(Path(name).suffix.lower() == ".psf" for name in topologies):
        raise MDGenError("--parameters goes with CHARMM's .psf files alone: leave it out")
    return [
        Source(source.name, given.pop(0), tuple(parameters or ())) if source.has_own_field else source
        for source in found
    ]


def files_of(found: Sequence[Source]) -> list[Path]:
    """All files that belong to structures, for checks that no output replaces one."""
    return [path for s in found for path in (Path(s.name), s.positions, *s.parameters) if path is not None]
