"""Terminal caps: small groups that are bonded to the first N or the last C of a chain, each a residue of its own.

An N-terminal cap (acetyl, formyl) carries the peptide bond to the first residue, which therefore has an omega and a
phi. A C-terminal cap (N-methylamide, amide) is carried by the last residue's C.

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

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.errors import UnsupportedTopologyError

if TYPE_CHECKING:
    from openmm.app.topology import Atom, Residue

_OMEGA_GROUP, _PHI_GROUP, _PSI_GROUP = 1, 2, 3

# Elements of the heavy atoms, and the name that messages use.
_N_CAPS = {"ACE": ("CCO", "ACE"), "FOR": ("CO", "FOR")}
_C_CAPS = {
    **dict.fromkeys(("NME", "NMA", "NAC"), ("CN", "NME")),
    **dict.fromkeys(("NH2", "NHE"), ("N", "NH2")),
}
CAP_NAMES = frozenset(_N_CAPS | _C_CAPS)


@dataclass(frozen=True)
class Cap:
    """A cap of one topology."""

    name: str  # ACE, FOR, NME or NH2, whatever the topology calls it
    residue: Residue
    is_first: bool  # at the N terminus
    link: Atom  # bonded to the chain: C of an N-terminal cap, N of a C-terminal one
    bonds: tuple[tuple[Atom, Atom], ...]  # within the cap, those included that the topology lacks

    @classmethod
    def read(cls, residue: Residue, *, is_first: bool, label: str) -> Cap:
        """
        Parameters
        ----------
        residue : openmm.app.topology.Residue
        is_first : bool
            Whether it stands before the chain's first residue; else it stands after the last.
        label : str
            Of the residue, for messages.

        Raises
        ------
        UnsupportedTopologyError
            If it is no cap of that end, or its heavy atoms are not those of the cap.
        """
        table, other = (_N_CAPS, "after the last") if is_first else (_C_CAPS, "before the first")
        if residue.name not in table:
            raise UnsupportedTopologyError(
                f"{label}: this cap belongs {other} residue of a chain, and stands at the wrong end. Remove it, or put "
                f"{' or '.join(sorted(table))} here."
            )
        elements, name = table[residue.name]
        heavy = [atom for atom in residue.atoms() if not is_hydrogen(atom)]
        found = "".join(sorted(atom.element.symbol if atom.element else "?" for atom in heavy))
        if found != elements:
            raise UnsupportedTopologyError(
                f"{label}, atoms {', '.join(atom.name for atom in heavy) or 'none'}: the cap {name} has the heavy "
                f"atoms {', '.join(elements)}. Complete it, e.g. with PDBFixer.findMissingAtoms and addMissingAtoms."
            )
        own = [bond for bond in residue.internal_bonds()]
        link = _link(heavy, own, is_first=is_first)
        return cls(name, residue, is_first, link, tuple(_completed(residue, heavy, link, own)))

    def group(self, atom: Atom) -> int:
        """The rigid group, of the residue the cap is bonded to, that carries an atom of the cap."""
        if not self.is_first:
            return _PSI_GROUP
        return _PHI_GROUP if atom == self.link else _OMEGA_GROUP

    @property
    def before_index(self) -> np.ndarray:
        """(2,) topology indices of the atoms from which `before` takes CA and C of a residue before the first."""
        oxygen = next(atom for atom in self.residue.atoms() if atom.element.symbol == "O")
        methyl = (a for a in self.residue.atoms() if a.element.symbol == "C" and a != self.link)
        return np.array([(oxygen if self.name == "FOR" else next(methyl)).index, self.link.index], dtype=np.int64)


def before(name: str, atoms: np.ndarray) -> np.ndarray:
    """CA and C of a residue before the first, (..., 2, 3), from the atoms of `Cap.before_index`, in any unit.

    In a trans peptide bond O lies opposite CA: for a formyl group, which has no second carbon, O is reflected in C.
    """
    if name != "FOR":
        return atoms
    return np.stack([2 * atoms[..., 1, :] - atoms[..., 0, :], atoms[..., 1, :]], axis=-2)


def _link(heavy: list[Atom], bonds: list[tuple[Atom, Atom]], *, is_first: bool) -> Atom:
    """The atom that is bonded to the chain: N, or the carbon that is bonded to O."""
    if not is_first:
        return next(atom for atom in heavy if atom.element.symbol == "N")
    for first, second in bonds:
        for atom, other in ((first, second), (second, first)):
            if (atom.element.symbol, other.element.symbol) == ("C", "O"):
                return atom
    carbons = [atom for atom in heavy if atom.element.symbol == "C"]
    return next((atom for atom in carbons if atom.name == "C"), carbons[0])


def _completed(
    residue: Residue, heavy: list[Atom], link: Atom, bonds: list[tuple[Atom, Atom]]
) -> list[tuple[Atom, Atom]]:
    """The bonds within a cap, with those that the topology lacks: readers that do not know a name make none."""
    bonded = {atom for bond in bonds for atom in bond}
    made = [tuple(bond) for bond in bonds]
    made += [(link, atom) for atom in heavy if atom != link and atom not in bonded]
    methyl = next((atom for atom in heavy if atom != link and atom.element.symbol == "C"), link)
    for atom in residue.atoms():
        if is_hydrogen(atom) and atom not in bonded:
            on_nitrogen = link.element.symbol == "N" and atom.name in ("H", "HN", "HNT", "HN1", "HN2")
            made.append((link if on_nitrogen else methyl, atom))
    return made


def is_hydrogen(atom: Atom) -> bool:
    return atom.element is not None and atom.element.atomic_number == 1
