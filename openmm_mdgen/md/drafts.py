"""Drafts: molecules as files hold them, before they are an OpenMM topology.

A draft keeps the names of residues and atoms as they were written, which OpenMM's readers replace, and can be changed
step by step. Positions are in nanometre.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from openmm import app, unit

from openmm_mdgen.molecule import names

DISULFIDE = 0.3  # nm: sulfurs of cysteines without hydrogen that are nearer are bonded, as for OpenMM


@dataclass(eq=False)
class DraftAtom:
    """One atom."""

    name: str
    element: str  # symbol
    position: np.ndarray  # (3,) nm

    @property
    def is_hydrogen(self) -> bool:
        return self.element in ("H", "D")

    def distance(self, other: DraftAtom) -> float:
        """Distance to another atom in nm."""
        return float(np.linalg.norm(self.position - other.position))


@dataclass(eq=False)
class DraftResidue:
    """One residue with its atoms, in the order of the file."""

    name: str
    number: str
    insertion_code: str
    chain: str  # its identifier, which may be blank
    segment: int  # counts the chains of the file, whose identifiers may be alike
    atoms: list[DraftAtom] = field(default_factory=list)
    variant: str | None = None  # the form that the residue's name asks for, if it is a charged or a neutral one

    def __str__(self) -> str:
        return f"{self.name} {self.number}{self.insertion_code.strip()}"

    @property
    def heavy(self) -> list[DraftAtom]:
        return [atom for atom in self.atoms if not atom.is_hydrogen]

    @property
    def hydrogens(self) -> list[DraftAtom]:
        return [atom for atom in self.atoms if atom.is_hydrogen]

    def find(self, name: str) -> DraftAtom | None:
        """The atom of that name."""
        return next((atom for atom in self.atoms if atom.name == name), None)


@dataclass(eq=False)
class Draft:
    """Residues in the order of a file."""

    residues: list[DraftResidue]
    box: np.ndarray | None = None  # (3, 3) nm, box vectors as rows
    open_end: DraftResidue | None = None  # the last residue of a file that may have been cut short
    stated: dict[str, list[str]] = field(default_factory=dict)  # residues that the file says chains have, by name

    def chains(self) -> list[list[DraftResidue]]:
        """Residues of each chain."""
        found: list[list[DraftResidue]] = []
        for residue in self.residues:
            if not found or found[-1][-1].segment != residue.segment:
                found.append([])
            found[-1].append(residue)
        return found

    def pairs(self) -> Iterator[tuple[DraftResidue, DraftResidue]]:
        """Residues that follow each other in a chain."""
        for chain in self.chains():
            yield from zip(chain[:-1], chain[1:], strict=True)

    def topology(self) -> tuple[app.Topology, np.ndarray]:
        """Make an OpenMM topology, with the bonds that the names of residues and atoms stand for.

        Returns
        -------
        topology : openmm.app.Topology
            Disulfides are bonded by distance.
        positions : (n_atoms, 3) nm
        """
        topology = app.Topology()
        for members in self.chains():
            chain = topology.addChain(members[0].chain)
            for residue in members:
                # OpenMM knows of no bonds of modified residues: those that they share are made under the parent's name.
                name = names.parent(residue.name) if residue.name in names.WITH_PARAMETERS else residue.name
                added = topology.addResidue(name, chain, residue.number, residue.insertion_code)
                for atom in residue.atoms:
                    topology.addAtom(atom.name, app.Element.getBySymbol(atom.element), added)
        positions = np.array([atom.position for residue in self.residues for atom in residue.atoms]).reshape(-1, 3)
        topology.createStandardBonds()
        topology.createDisulfideBonds(positions * unit.nanometer)
        for residue, made in zip(self.residues, topology.residues(), strict=True):
            if residue.name in names.WITH_PARAMETERS:
                _extend(topology, made, residue.name)
        return topology, positions

    @classmethod
    def of(cls, topology: app.Topology, positions: np.ndarray) -> Draft:
        """The draft of an OpenMM topology with positions (n_atoms, 3) in nm."""
        residues = []
        for residue in topology.residues():
            draft = DraftResidue(residue.name, residue.id, residue.insertionCode, residue.chain.id, residue.chain.index)
            for atom in residue.atoms():
                draft.atoms.append(
                    DraftAtom(atom.name, atom.element.symbol if atom.element else "", positions[atom.index])
                )
            residues.append(draft)
        return cls(residues)


def _extend(topology: app.Topology, residue: app.topology.Residue, name: str) -> None:
    """Name a residue, and add the bonds by which it extends the standard one that it was made as."""
    residue.name = name
    atoms = {atom.name: atom for atom in residue.atoms()}
    bonded = {frozenset((a.name, b.name)) for a, b in residue.internal_bonds()}
    pairs = [pair.split("-") for pair in names.MODIFIED_BONDS[name].split()]
    pairs += [[carrier, hydrogen] for hydrogen, carrier in names.WITH_PARAMETERS[name][1].items()]
    for first, second in pairs:
        if first in atoms and second in atoms and frozenset((first, second)) not in bonded:
            topology.addBond(atoms[first], atoms[second])


def few(items: Iterable[object], most: int = 6) -> str:
    """Some of many things for a message, and how many more there are."""
    listed = [str(item) for item in items]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def nearest(atom: DraftAtom, others: list[DraftAtom]) -> tuple[DraftAtom, float]:
    """The nearest of some atoms, and its distance in nm."""
    distances = [atom.distance(other) for other in others]
    k = int(np.argmin(distances))
    return others[k], distances[k]
