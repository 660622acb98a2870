"""One protein chain of an OpenMM topology: its residues, heavy-atom slots and rigid groups.

Axes: ``N`` atoms of the topology, ``n`` atoms of the protein chain (hydrogens and OXT included, in the topology's
order), ``L`` residues, ``14`` heavy-atom slots, ``8`` rigid groups (see `residues`). Positions come in nanometre, as
OpenMM has them, and leave in ångström.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.errors import StateError, UnsupportedTopologyError
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import atom14_from_rigids, torsion_mask
from openmm_mdgen.geometry.bonds import METHYL_CENTRES, BondGraph, stereocentres, triple_products
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule import caps
from openmm_mdgen.molecule.bonding import bonding_of
from openmm_mdgen.molecule.caps import is_hydrogen
from openmm_mdgen.molecule.positions import describe_atom, usable
from openmm_mdgen.molecule.strand import Strand, describe, only_strand, protein_chains, strand_of

if TYPE_CHECKING:
    from openmm.app import Topology

_PSI_GROUP, _PHI_GROUP = 3, 2
_ONE_CENTRE = np.arange(4)[None]  # of four points
_DISULFIDE, _PEPTIDE_BOND = 0.25, 0.17  # nm: S to S, C to N; atoms that are not bonded are farther apart


@dataclass(frozen=True, eq=False)
class ProteinChain:
    """The one protein chain of a topology, as the model sees it.

    Examples
    --------
    >>> chain = ProteinChain.from_openmm(pdb.topology).resolved(positions)
    >>> heavy = chain.atom14(positions)  # (L, 14, 3) ångström
    """

    sequence: str  # (L,) one-letter codes
    aatype: np.ndarray  # (L,) int64, index into residues.RESTYPES
    n_atoms: int  # N, of the whole topology
    atom_indices: np.ndarray  # (n,) int64, the chain's atoms in the topology
    atom_residue: np.ndarray  # (n,) int64, 0 to L - 1
    atom_group: np.ndarray  # (n,) int64, the rigid group that carries the atom, 0 to 7
    is_hydrogen: np.ndarray  # (n,) bool
    bonds: np.ndarray  # (b, 2) int64, pairs of the chain's atoms, 0 to n - 1
    atom14_index: np.ndarray  # (L, 14) int64, topology index of the atom in each slot, -1 where unused
    residue_labels: tuple[str, ...]  # (L,) chain, name and number for messages
    atom_labels: tuple[str, ...]  # (n,) the same of each atom's own residue, which may be a cap
    atom_names: tuple[str, ...]  # (n,) as the topology has them
    n_cap: str | None = None  # "ACE" or "FOR" if the first residue carries that cap
    c_cap: str | None = None  # "NME" or "NH2" if the last residue carries that cap
    before_index: np.ndarray | None = None  # (2,) int64, topology indices; see `caps.Cap.before_index`

    @classmethod
    def from_openmm(cls, topology: Topology) -> ProteinChain:
        """Read the protein chain; whatever is not bonded to it (water, ions, ligands) is left alone.

        Parameters
        ----------
        topology : openmm.app.Topology
            With exactly one chain that holds amino acids: the 20 standard ones in any state of protonation, under the
            names of AMBER, CHARMM, GROMACS or the PDB, or modified ones that `names` lists, every heavy atom present,
            bonds defined. Each terminus is free, charged or not, or carries a cap (see `caps`).

        Raises
        ------
        UnsupportedTopologyError
            Naming chain, residue and atom. LEU and VAL atoms are in slots by name until `resolved` is called.
        """
        return cls._of(topology, only_strand(topology))

    @classmethod
    def each(cls, topology: Topology) -> tuple[ProteinChain, ...]:
        """Read every protein chain of a topology; parameters and errors as in `from_openmm`."""
        return tuple(cls._of(topology, strand_of(chain)) for chain in protein_chains(topology))

    @classmethod
    def _of(cls, topology: Topology, strand: Strand) -> ProteinChain:
        bonding = bonding_of(topology, strand)
        group: dict[int, int] = {}  # by the atom's number in the topology
        carrier: dict[int, int] = {}
        atom14_index = np.full((len(strand.members), residues.N_SLOTS), -1, dtype=np.int64)
        for i, member in enumerate(strand.members):
            slots = residues.ATOM14_NAMES[member.parent]
            for name, atom in member.slots.items():
                group[atom.index], carrier[atom.index] = _heavy_group(member.parent, name), i
                if name in slots:
                    atom14_index[i, slots.index(name)] = atom.index
            for atom in member.others:
                root, is_free = bonding.roots[atom.index], i == 0 and strand.n_cap is None
                group[atom.index], carrier[atom.index] = _group_on(member.parent, root, is_free=is_free), i
        for cap, i in strand.caps:
            group.update((atom.index, cap.group(atom)) for atom in cap.atoms)
            carrier.update((atom.index, i) for atom in cap.atoms)
        atoms = [atom for atom in topology.atoms() if atom.index in group]
        place = {atom.index: k for k, atom in enumerate(atoms)}
        bonds = [(place[a], place[b]) for a, b in bonding.pairs]
        sequence = "".join(residues.THREE_TO_ONE[member.parent] for member in strand.members)
        return cls(
            sequence=sequence,
            aatype=residues.aatype_from_sequence(sequence),
            n_atoms=topology.getNumAtoms(),
            atom_indices=np.array([atom.index for atom in atoms], dtype=np.int64),
            atom_residue=np.array([carrier[atom.index] for atom in atoms], dtype=np.int64),
            atom_group=np.array([group[atom.index] for atom in atoms], dtype=np.int64),
            is_hydrogen=np.array([is_hydrogen(atom) for atom in atoms], dtype=bool),
            bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2),
            atom14_index=atom14_index,
            residue_labels=tuple(member.label for member in strand.members),
            atom_labels=tuple(describe(atom.residue) for atom in atoms),
            atom_names=tuple(atom.name for atom in atoms),
            n_cap=None if strand.n_cap is None else strand.n_cap.name,
            c_cap=None if strand.c_cap is None else strand.c_cap.name,
            before_index=None if strand.n_cap is None else strand.n_cap.before_index,
        )

    @cached_property
    def graph(self) -> BondGraph:
        """The bonds of the chain's atoms."""
        return BondGraph(len(self.atom_indices), self.bonds)

    @property
    def termini(self) -> np.ndarray:
        """(L,) int64, which residues carry a cap; see `model.tokens.Frames.termini`."""
        bits = np.zeros(len(self.sequence), dtype=np.int64)
        bits[0] += self.n_cap is not None
        bits[-1] += 2 * (self.c_cap is not None)
        return bits

    @property
    def torsion_mask(self) -> Tensor:
        """(L, 7): 1.0 for the torsions that exist."""
        return torsion_mask(torch.as_tensor(self.aatype), self.n_cap is not None)

    def usable(self, name: str, positions: Any, box: np.ndarray | None = None) -> np.ndarray:
        """Positions of this chain that frames can be generated from; see `positions.usable`.

        Parameters
        ----------
        name : str
            What the positions are called in messages.
        positions : quantity or array, (N, 3)
            Plain numbers are in nm.
        box : (3, 3), nm, optional
            Vectors of a periodic box, over which the chain may be torn.

        Returns
        -------
        (N, 3) float64, nm, the chain whole

        Raises
        ------
        MDGenError
            Besides what `positions.usable` finds: two cysteines, or both ends, that are bonded, and residues that are
            not the L amino acids their names say.
        """
        positions = usable(name, self, positions, box)
        self.require_open(name, positions)
        self.resolved(positions)
        return positions

    def require_open(self, name: str, positions: np.ndarray) -> None:
        """Refuse positions (N, 3) nm in which atoms are bonded of which the topology does not say so.

        Raises
        ------
        UnsupportedTopologyError
            If two sulphurs of cysteines, or both ends of the chain, are as near as bonded atoms are.
        """
        cysteines = [k for k, letter in enumerate(self.sequence) if letter == "C"]
        sulphurs = self.atom14_index[cysteines, residues.ATOM14_NAMES["CYS"].index("SG")]
        pairs = [(first, second, _DISULFIDE, "a disulfide") for first, second in combinations(sulphurs, 2)]
        if len(self.sequence) > 1 and not self.n_cap and not self.c_cap:
            pairs.append(
                (self.atom14_index[0, 0], self.atom14_index[-1, 2], _PEPTIDE_BOND, "a chain closed head to tail")
            )
        for first, second, nearest, kind in pairs:
            apart = np.linalg.norm(positions[first] - positions[second])
            if apart < nearest:
                one, other = (describe_atom(self, int(k)) for k in np.searchsorted(self.atom_indices, (first, second)))
                raise UnsupportedTopologyError(
                    f"{name}: {one} and {other} are {apart:.2f} nm apart: {kind}. Generated frames would open it, so "
                    "such molecules are not taken yet."
                )

    def resolved(self, positions: np.ndarray) -> ProteinChain:
        """The same chain with the methyl groups of LEU and VAL in the slots that their geometry asks for.

        Files disagree on which methyl group is called 1. The topology's names and order are not touched, and hydrogens
        stay with the carbon they are bonded to.

        Parameters
        ----------
        positions : (N, 3), nm

        Raises
        ------
        UnsupportedTopologyError
            If a residue is not the L amino acid its name says.
        StateError
            If positions are not finite or not of this topology.
        """
        positions = self._checked(positions)
        atom14_index = self.atom14_index.copy()
        for i, letter in enumerate(self.sequence):
            three = residues.ONE_TO_THREE[letter]
            for centre in stereocentres(three):
                slots = [residues.ATOM14_NAMES[three].index(name) for name in centre]
                ideal = triple_products(_ideal_residues()[self.aatype[i], slots], _ONE_CENTRE)
                if ideal * triple_products(positions[atom14_index[i, slots]], _ONE_CENTRE) > 0:
                    continue
                if centre != METHYL_CENTRES.get(three):
                    raise UnsupportedTopologyError(
                        f"{self.residue_labels[i]}, atom {centre[0]}: mirrored or flat. The model knows L amino acids "
                        "only: this is a D amino acid, or the structure is broken; check it, or minimise it first."
                    )
                atom14_index[i, slots[2:]] = atom14_index[i, slots[:1:-1]]
        return replace(self, atom14_index=atom14_index)

    def atom14(self, positions: np.ndarray) -> Tensor:
        """Heavy atoms in their slots.

        Parameters
        ----------
        positions : (..., N, 3), nm
            All atoms of the topology, one frame or many; float32 or float64.

        Returns
        -------
        (..., L, 14, 3) ångström, of the same type, zeros in unused slots.

        Raises
        ------
        StateError
            If positions are not finite or not of this topology.
        """
        index = torch.as_tensor(self.atom14_index)
        atoms = torch.as_tensor(self._checked(positions))[..., index.clamp_min(0), :]
        return to_angstrom(atoms) * (index >= 0)[..., None]

    def before(self, positions: np.ndarray) -> Tensor | None:
        """The points of an N-terminal cap that stand for CA and C of a residue before the first.

        Parameters
        ----------
        positions : (..., N, 3), nm
            As for `atom14`.

        Returns
        -------
        (..., 2, 3) ångström, or None for a chain whose N terminus is free.
        """
        if self.n_cap is None:
            return None
        positions = np.asarray(positions)[..., self.before_index, :]
        return to_angstrom(torch.as_tensor(caps.before(self.n_cap, positions)))

    def warn_of_caps(self, weights: str, *, known: bool) -> None:
        """Warn if the chain is capped and the weights of that name were trained on free ends only."""
        names = [name for name in (self.n_cap, self.c_cap) if name is not None]
        if known or not names:
            return
        held = f"omega and phi of {self.residue_labels[0]} keep the start's values, and " if self.n_cap else ""
        warnings.warn(
            f"weights {weights!r} were trained on chains with free ends, and this one carries {' and '.join(names)}: "
            f"{held}the ends move as free ends do. Use weights that know caps.",
            stacklevel=4,
        )

    def _checked(self, positions: np.ndarray) -> np.ndarray:
        positions = np.asarray(positions)
        if positions.shape[-2:] != (self.n_atoms, 3):
            raise StateError(
                f"positions have shape {positions.shape}, but the topology has {self.n_atoms} atoms: pass the "
                "positions of every atom, in nanometre"
            )
        bad = ~np.isfinite(positions[..., self.atom_indices, :]).all(axis=-1)
        if bad.any():
            k = np.nonzero(bad)[-1][0]
            raise StateError(
                f"{self.atom_labels[k]}, atom index {self.atom_indices[k]}: its position is not finite. Start from a "
                "minimised structure."
            )
        return positions


def _heavy_group(parent: str, name: str) -> int:
    """Rigid group of an atom in a slot of a standard residue; a carboxyl end turns as a whole, so OXT goes with O."""
    if name not in residues.ATOM14_NAMES[parent]:
        return _PSI_GROUP
    return int(residues.ATOM14_GROUP[residues.RESTYPE_INDEX[parent], residues.ATOM14_NAMES[parent].index(name)])


def _group_on(parent: str, root: str, *, is_free: bool) -> int:
    """Rigid group of an atom that hangs on an atom in a slot: it moves with the other atoms bonded to that one.

    `is_free` marks the first residue of a chain without a cap, which has no phi.
    """
    if root == "N":
        return 0 if is_free else _PHI_GROUP
    if root == "C":
        return _PSI_GROUP
    for k, (_, _, axis_end, _) in enumerate(residues.CHI_ATOMS[parent]):
        if root == axis_end:
            return 4 + k
    return _heavy_group(parent, root)


@cache
def _ideal_residues() -> np.ndarray:
    """(20, 14, 3) ångström: each residue with ideal geometry and all torsions zero."""
    n = residues.UNKNOWN
    torsions = torch.tensor([0.0, 1.0]).expand(n, residues.N_TORSIONS, 2)
    return atom14_from_rigids(torch.arange(n), Rigid.identity((n,), torsions), torsions).numpy()
