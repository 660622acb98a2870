"""What bonds say of a molecule: neighbours, angles, who is near whom, handedness, and how close atoms may come.

Axes: ``n`` atoms, numbered from 0, ``b`` bonds, any batch axes (frames). Lengths in nanometre where a length is named,
else in any unit. Numpy only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

# How near atoms more than three bonds apart may come, in nm: two heavy atoms, a heavy atom and a hydrogen, two
# hydrogens. MD of tetrapeptides at 350 K in amber14 stays above (0.239, 0.144, 0.136).
Contacts = tuple[float, float, float]
COMFORTABLE: Contacts = (0.26, 0.17, 0.16)  # generated atoms that are nearer are turned apart
TOO_CLOSE: Contacts = (0.21, 0.125, 0.12)  # a frame with nearer atoms is no conformation of the molecule
CLASH = 0.23  # two heavy atoms that are nearer are counted as a clash in comparisons with MD

# A stereocentre and three of its neighbours, in the order that makes their triple product positive in L amino acids.
ALPHA_CENTRE = ("CA", "N", "C", "CB")
SIDE_CHAIN_CENTRES = {
    "ILE": ("CB", "CA", "CG1", "CG2"),
    "THR": ("CB", "CA", "OG1", "CG2"),
}
# The same for carbons whose last two neighbours are chemically equal: files differ in which of them has which name.
METHYL_CENTRES = {
    "VAL": ("CB", "CA", "CG2", "CG1"),
    "LEU": ("CG", "CB", "CD2", "CD1"),
}

_SIDE_CHAIN_BONDS = {
    "ALA": "",
    "ARG": "CB-CG CG-CD CD-NE NE-CZ CZ-NH1 CZ-NH2",
    "ASN": "CB-CG CG-OD1 CG-ND2",
    "ASP": "CB-CG CG-OD1 CG-OD2",
    "CYS": "CB-SG",
    "GLN": "CB-CG CG-CD CD-OE1 CD-NE2",
    "GLU": "CB-CG CG-CD CD-OE1 CD-OE2",
    "GLY": "",
    "HIS": "CB-CG CG-ND1 CG-CD2 ND1-CE1 CD2-NE2 CE1-NE2",
    "ILE": "CB-CG1 CB-CG2 CG1-CD1",
    "LEU": "CB-CG CG-CD1 CG-CD2",
    "LYS": "CB-CG CG-CD CD-CE CE-NZ",
    "MET": "CB-CG CG-SD SD-CE",
    "PHE": "CB-CG CG-CD1 CG-CD2 CD1-CE1 CD2-CE2 CE1-CZ CE2-CZ",
    "PRO": "CB-CG CG-CD CD-N",
    "SER": "CB-OG",
    "THR": "CB-OG1 CB-CG2",
    "TRP": "CB-CG CG-CD1 CG-CD2 CD1-NE1 NE1-CE2 CD2-CE2 CD2-CE3 CE3-CZ3 CE2-CZ2 CZ2-CH2 CZ3-CH2",
    "TYR": "CB-CG CG-CD1 CG-CD2 CD1-CE1 CD2-CE2 CE1-CZ CE2-CZ CZ-OH",
    "VAL": "CB-CG1 CB-CG2",
}


@dataclass(frozen=True, eq=False)
class BondGraph:
    """The bonds of some atoms."""

    n_atoms: int
    bonds: np.ndarray  # (b, 2) int

    @classmethod
    def of(cls, n_atoms: int, bonds: Iterable[tuple[int, int]]) -> BondGraph:
        """From pairs of atoms in any order."""
        return cls(n_atoms, np.array([tuple(bond) for bond in bonds], dtype=np.int64).reshape(-1, 2))

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """The atoms that each atom is bonded to, in the order in which bonds are listed."""
        around: list[dict[int, None]] = [{} for _ in range(self.n_atoms)]
        for a, b in self.bonds.tolist():
            around[a][b] = around[b][a] = None
        return tuple(tuple(members) for members in around)

    def near(self, n_bonds: int = 3) -> np.ndarray:
        """(n, n) bool: pairs at most so many bonds apart, an atom with itself included."""
        near = np.eye(self.n_atoms, dtype=bool)
        for atom in range(self.n_atoms):
            near[atom, list(self.within(atom, n_bonds))] = True
        return near

    def within(self, atom: int, n_bonds: int) -> set[int]:
        """The atoms at most so many bonds from one, itself included."""
        reached = edge = {atom}
        for _ in range(n_bonds):
            edge = {k for j in edge for k in self.neighbours[j]} - reached
            reached = reached | edge
        return reached

    def angles(self) -> np.ndarray:
        """(a, 3) int: both ends of each bond angle, and the atom at its corner in the middle."""
        found = [
            (i, k, j) for k, around in enumerate(self.neighbours) for i, j in combinations(sorted(around), 2)
        ]  # fmt: skip
        return np.array(found, dtype=np.int64).reshape(-1, 3)

    def centres(self) -> np.ndarray:
        """(c, 4) int: each atom with four neighbours, and three of these."""
        found = [(k, *sorted(around)[:3]) for k, around in enumerate(self.neighbours) if len(around) == 4]
        return np.array(found, dtype=np.int64).reshape(-1, 4)


def residue_bonds(residue: str) -> list[tuple[str, str]]:
    """The bonds between heavy atoms of a standard residue, OXT included, by the names of their atoms."""
    backbone = "N-CA CA-C C-O C-OXT" + (" CA-CB " if residue != "GLY" else " ")
    pairs = (bond.split("-") for bond in (backbone + _SIDE_CHAIN_BONDS[residue]).split())
    return [(first, second) for first, second in pairs]


def stereocentres(residue: str) -> list[tuple[str, str, str, str]]:
    """The stereocentres of a standard residue, those of equal methyl groups included, by the names of their atoms."""
    centres = [] if residue == "GLY" else [ALPHA_CENTRE]
    return centres + [table[residue] for table in (SIDE_CHAIN_CENTRES, METHYL_CENTRES) if residue in table]


def lengths(points: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(..., p) distances of pairs (p, 2) of points (..., n, 3)."""
    return np.linalg.norm(points[..., pairs[:, 0], :] - points[..., pairs[:, 1], :], axis=-1)


def triple_products(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(..., c) triple products of three neighbours about their centre (c, 4): the sign tells mirror images apart."""
    a, b, c = (points[..., centres[:, k], :] - points[..., centres[:, 0], :] for k in (1, 2, 3))
    return (a * np.cross(b, c)).sum(-1)


def mirrored(points: np.ndarray, centres: np.ndarray, *, doubt: float = 0.0) -> np.ndarray:
    """(..., c) bool: which stereocentres (c, 4) of points (..., n, 3) are mirror images of those of L amino acids.

    This is the one rule of handedness. Flat ones count as mirrored; where a structure is still to be minimised, `doubt`
    gives the triple product, in the unit of the points cubed, by which a centre may be flat or turned.
    """
    return ~(triple_products(points, centres) > -doubt)


@dataclass(frozen=True, eq=False)
class Stereocentres:
    """The carbons by which L amino acids differ from others: CA, and CB of isoleucine and threonine."""

    owners: tuple[tuple[int, str, str], ...]  # (c,): the residue's number among those given and its name, the carbon
    atoms: np.ndarray  # (c, 4) int: the carbon and three of its neighbours, in the order of `stereocentres`

    @classmethod
    def of(cls, residues: Iterable[tuple[str, Mapping[str, int]]]) -> Stereocentres:
        """Of residues by their standard names, each with its atoms by name; centres that lack an atom are left out."""
        owners, atoms = [], []
        for number, (name, places) in enumerate(residues):
            for centre in stereocentres(name):
                if centre != METHYL_CENTRES.get(name) and places.keys() >= set(centre):
                    owners.append((number, name, centre[0]))
                    atoms.append([places[atom] for atom in centre])
        return cls(tuple(owners), np.array(atoms, dtype=np.int64).reshape(-1, 4))

    def mirrored(self, points: np.ndarray, *, doubt: float = 0.0) -> np.ndarray:
        """(..., c) bool, as the function of that name has it."""
        return mirrored(points, self.atoms, doubt=doubt)

    def epimers(self, points: np.ndarray, *, doubt: float = 0.0) -> dict[int, str]:
        """Residues with a mirrored centre in points (n, 3), by their numbers, and what each of them is, in words."""
        found: dict[int, list[str]] = {}
        for (number, _, carbon), is_mirrored in zip(self.owners, self.mirrored(points, doubt=doubt), strict=True):
            if is_mirrored:
                found.setdefault(number, []).append(carbon)
        named = {number: name for number, name, _ in self.owners}
        return {number: epimer(named[number], carbons) for number, carbons in found.items()}


_ALLO = {"ILE": ("alloisoleucine", "isoleucine"), "THR": ("allothreonine", "threonine")}


def epimer(residue: str, carbons: Collection[str]) -> str:
    """What a standard residue is in which these carbons, CA or CB, are mirrored."""
    if "CA" in carbons:
        return "a D amino acid: its CA is the mirror image of that of L amino acids"
    allo, usual = _ALLO[residue]
    return f"{allo}: its CB is the mirror image of that of {usual}"
