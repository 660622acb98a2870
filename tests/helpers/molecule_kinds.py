"""How the kinds of molecules that people bring are told of; the tables are `kinds_of_names`, `kinds_of_molecules` and
`kinds_in_scripts`, and `molecule_page` makes the page of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from openmm import app

import spellings as sp

Structure = tuple[app.Topology, np.ndarray]  # with positions (n_atoms, 3) nm
FOUR = "ALA LYS LEU VAL"  # residues of AKLV
OWN_FIELDS = sp.DATA / "own_fields"


@dataclass(frozen=True)
class File:
    """A file to be written."""

    content: Callable[[], str | bytes]
    name: str = "given.pdb"


@dataclass(frozen=True)
class Case:
    """One structure: a sequence, a file to be written, a file that is there, or a topology with positions."""

    source: str | File | Path | Callable[[], Structure]
    residues: str = ""  # names of its residues in the end, in a script one-letter codes; empty where it is refused
    options: dict = field(default_factory=dict)  # of `prepare`
    charge: int | None = None  # in units of the electron's; None where the residues' names tell


@dataclass(frozen=True)
class Kind:
    """A row of the table."""

    kind: str
    written: str
    verdict: str  # what the reader is told: that it works, or why not
    cases: dict[str, Case]
    told: str = r"\A\Z"  # what the notes on changes match; without one, there are none
    refused: str | None = None  # what the reason of the refusal matches; None where it works


def pdb(content: Callable[[], str], residues: str = "", *, charge: int | None = None, **options) -> Case:
    return Case(File(content), residues, options, charge)


def form(name: str, written: str) -> Case:
    return pdb(lambda: sp.with_form(name, written), f"ALA {name} LEU VAL")
