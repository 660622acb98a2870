"""The one check of positions that a user gives, wherever they are given.

Positions may be quantities of any unit of length or plain numbers in nanometre. What is looked at, in this order: their
shape, that they are numbers, that they are not in ångström, that the molecule is in one piece, that no residues are
missing. Axes: ``N`` atoms of the topology, ``n`` atoms that are looked at, ``b`` bonds. Nanometre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import mdtraj
import numpy as np

from openmm_mdgen.arguments import in_unit, is_quantity
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.geometry.bonds import BondGraph, lengths
from openmm_mdgen.molecule.caps import is_hydrogen
from openmm_mdgen.molecule.names import CAP_ALIASES, parent
from openmm_mdgen.molecule.strand import describe

if TYPE_CHECKING:
    from openmm.app import Topology

_LONGEST_BOND, _LONGEST_TO_HYDROGEN = 0.25, 0.15  # nm; a disulfide has 0.205
_IN_ANGSTROM = (0.7, 2.6)  # nm: ten times the lengths of bonds, from N-H to S-S
_TOO_SHORT = 0.03  # nm: no molecule has bonds of which half are shorter


class Bonded(Protocol):
    """Atoms and their bonds: a `ProteinChain`, or `BondedAtoms`."""

    @property
    def n_atoms(self) -> int:
        """N, of the whole topology."""
        ...

    @property
    def atom_indices(self) -> np.ndarray:
        """(n,) the atoms that are looked at."""
        ...

    @property
    def atom_names(self) -> tuple[str, ...]:
        """(n,)."""
        ...

    @property
    def atom_labels(self) -> tuple[str, ...]:
        """(n,) chain, name and number of each atom's residue."""
        ...

    @property
    def is_hydrogen(self) -> np.ndarray:
        """(n,) bool."""
        ...

    @property
    def graph(self) -> BondGraph:
        """Bonds between atoms 0 to n - 1."""
        ...


class BondedAtoms:
    """The atoms of all amino acids and caps of a topology, however many chains they make."""

    def __init__(self, topology: Topology) -> None:
        names = {residue.name.upper() for residue in topology.residues()}
        own = {name for name in names if parent(name) or name in CAP_ALIASES}
        atoms = [atom for atom in topology.atoms() if atom.residue.name.upper() in own]
        place = {atom.index: k for k, atom in enumerate(atoms)}
        self.n_atoms = topology.getNumAtoms()
        self.atom_indices = np.array(list(place), dtype=np.int64)
        self.atom_names = tuple(atom.name for atom in atoms)
        self.atom_labels = tuple(describe(atom.residue) for atom in atoms)
        self.is_hydrogen = np.array([is_hydrogen(atom) for atom in atoms], dtype=bool)
        pairs = ((a.index, b.index) for a, b in topology.bonds())
        self.graph = BondGraph.of(len(atoms), ((place[a], place[b]) for a, b in pairs if a in place and b in place))


def as_topology(topology: Any) -> Topology:
    """An OpenMM topology; one of mdtraj's is translated.

    Raises
    ------
    MDGenError
        If it is something else.
    """
    if isinstance(topology, mdtraj.Topology):
        return topology.to_openmm()
    if not all(hasattr(topology, name) for name in ("getNumAtoms", "residues", "bonds")):
        raise MDGenError(
            f"topology is {type(topology).__name__}: give an openmm.app.Topology, such as PDBFile(name).topology, or "
            "an mdtraj.Topology"
        )
    return topology


def in_nanometre(name: str, positions: Any) -> np.ndarray:
    """Numbers in nanometre, float64, of quantities or of plain numbers that are in nanometre already.

    Parameters
    ----------
    name : str
        What the positions are called in messages.
    positions : quantity, or array, or sequence of either

    Raises
    ------
    MDGenError
        If a quantity is no length, or there is anything but numbers.
    """
    if isinstance(positions, Sequence) and len(positions) and is_quantity(positions[0]):
        return np.stack([in_nanometre(name, row) for row in positions])
    if is_quantity(positions):
        positions = in_unit(name, positions, "nanometer")
    try:
        return np.asarray(positions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MDGenError(
            f"{name} cannot be read as numbers ({error}): give an array (atoms, 3) in nm, or a quantity such as "
            "PDBFile(name).positions"
        ) from error


def box_of(topology: Topology) -> np.ndarray | None:
    """(3, 3) box vectors in nm that the topology knows, or None."""
    vectors = topology.getPeriodicBoxVectors()
    return None if vectors is None else in_nanometre("box vectors", vectors)


def usable(name: str, atoms: Bonded, positions: Any, box: np.ndarray | None = None) -> np.ndarray:
    """Positions that a molecule can start from.

    Parameters
    ----------
    name : str
        What the positions are called in messages.
    atoms : ProteinChain or BondedAtoms
        What is looked at.
    positions : quantity or array, (..., N, 3)
        Plain numbers are in nm.
    box : (3, 3), nm, optional
        Vectors of a periodic box, over which a molecule may be torn.

    Returns
    -------
    (..., N, 3) float64, nm
        Molecules whole. What is not looked at is as it was given.

    Raises
    ------
    MDGenError
        If these are no positions of the topology's atoms, or in another unit.
    StateError
        If they are not finite, a molecule is torn, or residues are missing.
    """
    positions = whole(atoms, minimisable(name, atoms, positions), box)
    _require_whole(name, atoms, positions, box)
    return positions


def minimisable(name: str, atoms: Bonded, positions: Any) -> np.ndarray:
    """Positions that a minimiser can start from: as `usable`, but bonds may be strained or torn."""
    positions = in_nanometre(name, positions)
    require_shape(name, atoms, positions)
    _require_finite(name, atoms, positions)
    _require_nanometre(name, atoms, positions)
    return positions


def one_structure(name: str, atoms: Bonded, positions: Any, box: np.ndarray | None = None) -> np.ndarray:
    """Positions (N, 3) of one structure, as `usable`; raises `StateError` if there are several."""
    positions = usable(name, atoms, positions, box)
    if positions.ndim != 2:
        raise StateError(f"{name} have shape {positions.shape}: give one structure, such as positions[0]")
    return positions


def require_shape(name: str, atoms: Bonded, positions: np.ndarray) -> None:
    """Raise `StateError` unless there are positions (..., N, 3)."""
    if positions.shape[-2:] == (atoms.n_atoms, 3):
        return
    why = f"but the topology has {atoms.n_atoms} atoms: pass the positions of every atom, in nanometre"
    if positions.shape[-2:] == (3, atoms.n_atoms):
        why = f"which is the wrong way round: pass (atoms, 3), here ({atoms.n_atoms}, 3)"
    elif positions.ndim == 1 and positions.size == 3 * atoms.n_atoms:
        why = f"one row: pass (atoms, 3), here ({atoms.n_atoms}, 3), e.g. by positions.reshape(-1, 3)"
    raise StateError(f"{name} have shape {positions.shape}, {why}")


def whole(atoms: Bonded, positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """Positions (..., N, 3) in which no bond spans a periodic box; the same array where none does.

    Each atom goes to the image nearest to the atom, already placed, that it is bonded to.
    """
    if box is None or not _is_torn(atoms, positions).any():
        return positions
    own = positions[..., atoms.atom_indices, :].copy()
    seen: set[int] = set()
    for start in range(len(atoms.atom_indices)):
        edge = [] if start in seen else [start]
        seen.add(start)
        for atom in edge:  # grows on the way: neighbours of neighbours, the nearest first
            for other in atoms.graph.neighbours[atom]:
                if other not in seen:
                    seen.add(other)
                    edge.append(other)
                    own[..., other, :] += _to_nearest_image(own[..., other, :] - own[..., atom, :], box)
    positions = positions.copy()
    positions[..., atoms.atom_indices, :] = own
    return positions


def _to_nearest_image(step: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Box vectors to add to a step (..., 3) so that it becomes short; the box in OpenMM's reduced form."""
    shift = np.zeros_like(step)
    for k in (2, 1, 0):
        shift -= np.round((step + shift)[..., k, None] / box[k, k]) * box[k]
    return shift


def _bond_lengths(atoms: Bonded, positions: np.ndarray) -> np.ndarray:
    """(..., b)."""
    return lengths(positions[..., atoms.atom_indices, :], atoms.graph.bonds)


def _is_torn(atoms: Bonded, positions: np.ndarray) -> np.ndarray:
    """(..., b) bool."""
    to_hydrogen = atoms.is_hydrogen[atoms.graph.bonds].any(axis=1)
    return _bond_lengths(atoms, positions) > np.where(to_hydrogen, _LONGEST_TO_HYDROGEN, _LONGEST_BOND)


def _require_finite(name: str, atoms: Bonded, positions: np.ndarray) -> None:
    bad = ~np.isfinite(positions[..., atoms.atom_indices, :]).all(axis=-1)
    if bad.any():
        *frame, k = np.argwhere(bad)[0]
        where = f", frame {frame[-1]}" if frame else ""
        raise StateError(
            f"{name}{where}: {describe_atom(atoms, k)}: its position is not finite. Start from a minimised structure."
        )


def _require_nanometre(name: str, atoms: Bonded, positions: np.ndarray) -> None:
    if len(atoms.graph.bonds) == 0:
        return
    found = _bond_lengths(atoms, positions)
    usual = float(np.median(found))
    if ((found > _IN_ANGSTROM[0]) & (found < _IN_ANGSTROM[1])).mean() > 0.9:  # a torn molecule has short ones too
        raise MDGenError(
            f"{name}: bonds are {usual:.2f} nm long, ten times what they should be, so the numbers are in ångström. "
            "Divide them by 10, or give a quantity: positions * openmm.unit.angstrom"
        )
    if usual < _TOO_SHORT:
        raise MDGenError(f"{name}: bonds are {usual:.2g} nm long, which is too short: give positions in nanometre")


def _require_whole(name: str, atoms: Bonded, positions: np.ndarray, box: np.ndarray | None) -> None:
    torn = np.argwhere(_is_torn(atoms, positions))
    if len(torn) == 0:
        return
    bonds = atoms.graph.bonds
    *frame, bond = torn[0]
    apart = _bond_lengths(atoms, positions)[tuple(torn[0])]
    where = f", frame {frame[-1]}" if frame else ""
    a, b = bonds[bond]
    if all(_is_link(atoms, bonds[row[-1]]) for row in torn):
        raise StateError(
            f"{name}{where}: {atoms.atom_labels[a]}, atom {atoms.atom_names[a]} and {atoms.atom_labels[b]}, atom "
            f"{atoms.atom_names[b]} are {apart:.2f} nm apart: residues are missing between them, or the molecule is "
            "split across a periodic box. Model the residues, e.g. with PDBFixer.findMissingResidues, or make it whole"
        )
    first, second = describe_atom(atoms, a), describe_atom(atoms, b)
    remedy = (
        "Make the molecule whole (mdtraj's image_molecules does), or minimise it first"
        if box is None
        else "It is torn, but not over the periodic box: minimise it first"
    )
    raise StateError(f"{name}{where}: {first} and {second} are bonded, but {apart:.2f} nm apart. {remedy}")


def _is_link(atoms: Bonded, bond: np.ndarray) -> bool:
    """Whether a bond is a peptide bond between two residues."""
    a, b = bond
    named = {atoms.atom_names[a], atoms.atom_names[b]}
    return named == {"C", "N"} and atoms.atom_labels[a] != atoms.atom_labels[b]


def describe_atom(atoms: Bonded, k: int) -> str:
    """Residue, name and number of an atom, 0 to n - 1, for messages."""
    return f"{atoms.atom_labels[k]}, atom {atoms.atom_names[k]}, atom index {atoms.atom_indices[k]}"
