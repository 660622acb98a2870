"""Terminal caps: small groups that are bonded to the first N or the last C of a chain.

An N-terminal cap (acetyl, formyl) carries the peptide bond to the first residue, which therefore has an omega and a
phi. A C-terminal cap (N-methylamide, amide) is carried by the last residue's C. A cap is a residue of its own, or, as
CHARMM's patches make it, a part of the residue that it is bonded to.

=============  =========  ==========================================  ==================================
cap            end        omega of the first residue is measured to   heavy atoms
=============  =========  ==========================================  ==================================
ACE            N          the methyl carbon                           methyl carbon, C, O
FOR            N          O, and turned by half a circle              C, O
NME, NMA       C                                                      N, methyl carbon
NH2, NHE       C                                                      N
=============  =========  ==========================================  ==================================

Atoms are known by their elements and bonds: their names differ from program to program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry.residues import OMEGA_GROUP, PHI_GROUP, PSI_GROUP
from openmm_mdgen.molecule.names import CAP_ALIASES

if TYPE_CHECKING:
    from openmm.app.topology import Atom, Residue


N_CAPS, C_CAPS = ("ACE", "FOR"), ("NME", "NH2")
_ELEMENTS = {"ACE": "CCO", "FOR": "CO", "NME": "CN", "NH2": "N"}  # of the heavy atoms, in the order of the alphabet

# Heavy atoms that CHARMM's patches ACE and ACP (True), CT3 and CT2 (False) add to a residue.
_PATCHES = {True: frozenset({"CAY", "CY", "OY"}), False: frozenset({"NT", "CAT"})}


@dataclass(frozen=True, eq=False)
class Cap:
    """A cap of one chain."""

    name: str  # ACE, FOR, NME or NH2, whatever the topology calls it
    is_first: bool  # at the N terminus
    atoms: tuple[Atom, ...]
    link: Atom  # bonded to the chain: C of an N-terminal cap, N of a C-terminal one
    bonds: tuple[tuple[Atom, Atom], ...]  # within the cap, those included that the topology lacks

    @classmethod
    def read(cls, residue: Residue, *, is_first: bool, label: str) -> Cap:
        """A cap that is a residue of its own.

        Parameters
        ----------
        residue : openmm.app.topology.Residue
        is_first : bool
            Whether it stands before the chain's first residue; else it stands after the last.
        label : str
            Chain, name and number of the residue, for messages.

        Raises
        ------
        UnsupportedTopologyError
            If it is no cap of that end, or its heavy atoms are not those of the cap.
        """
        name, own = CAP_ALIASES[residue.name.upper()], N_CAPS if is_first else C_CAPS
        if name not in own:
            other = "after the last" if is_first else "before the first"
            raise UnsupportedTopologyError(
                f"{label}: this cap belongs {other} residue of a chain, and stands at the wrong end. Remove it, or put "
                f"{' or '.join(own)} here."
            )
        return cls._of(name, list(residue.atoms()), list(residue.bonds()), is_first=is_first, label=label)

    @classmethod
    def within(cls, residue: Residue, *, is_first: bool, label: str) -> Cap | None:
        """A cap that a patch has made a part of the first or the last residue; None if there is none."""
        patch = {atom for atom in residue.atoms() if atom.name in _PATCHES[is_first]}
        if not patch:
            return None
        bonds = [bond for bond in residue.bonds() if set(bond) & patch] or _bonds_in_order(residue, patch)
        members = patch | {atom for bond in bonds for atom in bond if is_hydrogen(atom)}
        atoms = [atom for atom in residue.atoms() if atom in members]
        name = "ACE" if is_first else "NME" if len(patch) > 1 else "NH2"
        return cls._of(name, atoms, bonds, is_first=is_first, label=label)

    @classmethod
    def _of(
        cls, name: str, atoms: Sequence[Atom], bonds: Sequence[tuple[Atom, Atom]], *, is_first: bool, label: str
    ) -> Cap:
        heavy = [atom for atom in atoms if not is_hydrogen(atom)]
        found = "".join(sorted(atom.element.symbol if atom.element else "?" for atom in heavy))
        if found != _ELEMENTS[name]:
            raise UnsupportedTopologyError(
                f"{label}, atoms {', '.join(atom.name for atom in heavy) or 'none'}: the cap {name} has the heavy "
                f"atoms {', '.join(_ELEMENTS[name])}. Complete it, e.g. with PDBFixer.findMissingAtoms and "
                "addMissingAtoms."
            )
        members = set(atoms)
        own = [(first, second) for first, second in bonds if first in members and second in members]
        link = _link(heavy, own, is_first=is_first)
        return cls(name, is_first, tuple(atoms), link, tuple(_completed(atoms, heavy, link, own)))

    def group(self, atom: Atom) -> int:
        """The rigid group, of the residue the cap is bonded to, that carries an atom of the cap."""
        if not self.is_first:
            return PSI_GROUP
        return PHI_GROUP if atom == self.link else OMEGA_GROUP

    @property
    def before_index(self) -> np.ndarray:
        """(2,) topology indices of the atoms from which `before` takes CA and C of a residue before the first."""
        oxygen = next(atom for atom in self.atoms if atom.element.symbol == "O")
        methyl = (atom for atom in self.atoms if atom.element.symbol == "C" and atom != self.link)
        return np.array([(oxygen if self.name == "FOR" else next(methyl)).index, self.link.index], dtype=np.int64)


def before(name: str, atoms: np.ndarray) -> np.ndarray:
    """CA and C of a residue before the first, (..., 2, 3), from the atoms of `Cap.before_index`, in any unit.

    In a trans peptide bond O lies opposite CA: for a formyl group, which has no second carbon, O is reflected in C.
    """
    if name != "FOR":
        return atoms
    return np.stack([2 * atoms[..., 1, :] - atoms[..., 0, :], atoms[..., 1, :]], axis=-2)


def is_hydrogen(atom: Atom) -> bool:
    return atom.element is not None and atom.element.atomic_number == 1


def _bonds_in_order(residue: Residue, patch: set[Atom]) -> list[tuple[Atom, Atom]]:
    """The hydrogens that follow each atom of a patch, for readers that do not know the patch.

    They may take the names of its hydrogens for those of the residue, and bond them so.
    """
    found, carrier = [], None
    for atom in residue.atoms():
        if not is_hydrogen(atom):
            carrier = atom
        elif carrier in patch:
            found.append((carrier, atom))
    return found


def _link(heavy: list[Atom], bonds: list[tuple[Atom, Atom]], *, is_first: bool) -> Atom:
    """The atom that is bonded to the chain: N, or the carbon that is bonded to O."""
    if not is_first:
        return next(atom for atom in heavy if atom.element.symbol == "N")
    for first, second in bonds:
        for atom, other in ((first, second), (second, first)):
            if (atom.element.symbol, other.element.symbol) == ("C", "O"):
                return atom
    carbons = [atom for atom in heavy if atom.element.symbol == "C"]
    return next((atom for atom in carbons if atom.name in ("C", "CY")), carbons[0])


def _completed(
    atoms: Sequence[Atom], heavy: list[Atom], link: Atom, bonds: list[tuple[Atom, Atom]]
) -> list[tuple[Atom, Atom]]:
    """The bonds within a cap, with those that the topology lacks: readers that do not know a name make none."""
    bonded = {atom for bond in bonds for atom in bond}
    made = list(bonds)
    between = {atom for bond in bonds if not any(is_hydrogen(atom) for atom in bond) for atom in bond}
    made += [(link, atom) for atom in heavy if atom != link and atom not in between]
    methyl = next((atom for atom in heavy if atom != link and atom.element.symbol == "C"), link)
    for atom in atoms:
        if is_hydrogen(atom) and atom not in bonded:
            on_nitrogen = link.element.symbol == "N" and atom.name in ("H", "HN", "HNT", "HN1", "HN2")
            made.append((link if on_nitrogen else methyl, atom))
    return made
