"""One protein chain of an OpenMM topology: its residues, heavy-atom slots and rigid groups.

Axes: ``N`` atoms of the topology, ``n`` atoms of the protein chain (hydrogens and OXT included, in the topology's
order), ``L`` residues, ``14`` heavy-atom slots, ``8`` rigid groups (see `residues`). Positions come in nanometre, as
OpenMM has them, and leave in ångström.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.errors import StateError, UnsupportedTopologyError
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import torsion_mask
from openmm_mdgen.geometry.bonds import METHYL_CENTRES, BondGraph, epimer, mirrored, stereocentres
from openmm_mdgen.geometry.residues import PHI_GROUP, PSI_GROUP
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule import caps
from openmm_mdgen.molecule.bonding import bonding_of
from openmm_mdgen.molecule.caps import is_hydrogen
from openmm_mdgen.molecule.closing import closed
from openmm_mdgen.molecule.names import variant
from openmm_mdgen.molecule.positions import usable
from openmm_mdgen.molecule.strand import Strand, describe, only_strand, protein_chains, strand_of

if TYPE_CHECKING:
    from openmm.app import Topology

_ONE_CENTRE = np.arange(4)[None]  # of four points


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
    disulfides: tuple[tuple[int, int], ...] = ()  # pairs of residues, 0 to L - 1, whose sulfurs are bonded
    is_cyclic: bool = False  # whether C of the last residue is bonded to N of the first
    half_cystines: tuple[int, ...] = ()  # residues whose names say that they are in a disulfide

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
                is_free = i == 0 and strand.n_cap is None and not bonding.is_cyclic
                root = bonding.roots[atom.index]
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
            disulfides=bonding.disulfides,
            is_cyclic=bonding.is_cyclic,
            half_cystines=tuple(k for k, m in enumerate(strand.members) if variant(m.residue.name) == "CYX"),
        )

    @cached_property
    def graph(self) -> BondGraph:
        """The bonds of the chain's atoms."""
        return BondGraph(len(self.atom_indices), self.bonds)

    @property
    def termini(self) -> np.ndarray:
        """(L,) int64, which residues carry a cap; see `model.tokens.Frames.termini`.

        The ends of a chain that is closed head to tail carry a peptide bond each, as capped ends do.
        """
        bits = np.zeros(len(self.sequence), dtype=np.int64)
        bits[0] += self.has_turns_before
        bits[-1] += 2 * (self.c_cap is not None or self.is_cyclic)
        return bits

    @property
    def is_open(self) -> bool:
        """Whether the chain has neither disulfides nor a bond between its ends."""
        return not self.disulfides and not self.is_cyclic

    @property
    def has_turns_before(self) -> bool:
        """Whether omega and phi of the first residue exist: something is bonded to its N."""
        return self.n_cap is not None or self.is_cyclic

    @property
    def torsion_mask(self) -> Tensor:
        """(L, 7): 1.0 for the torsions that exist."""
        return torsion_mask(torch.as_tensor(self.aatype), self.has_turns_before)

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
            Besides what `positions.usable` finds: two cysteines, or both ends, that are as near as bonded atoms and
            carry what bonded atoms do not, half a disulfide, and residues that are not the L amino acids their names
            say.
        """
        positions = usable(name, self, positions, box)
        try:
            self.resolved(positions)
        except UnsupportedTopologyError as error:
            raise UnsupportedTopologyError(f"{name}: {error}") from error
        return positions

    def resolved(self, positions: np.ndarray) -> ProteinChain:
        """The same chain with what positions say: bonds that close it, and which methyl groups are where.

        Two sulfurs of cysteines, or both ends, that are as near as bonded atoms are bonded, whether or not the topology
        says so. Files disagree on which methyl group of LEU and VAL is called 1; they go to the slots that their
        geometry asks for. The topology's names and order are not touched, and hydrogens stay with the carbon they are
        bonded to.

        Parameters
        ----------
        positions : (N, 3), nm

        Raises
        ------
        UnsupportedTopologyError
            If a residue is not the L amino acid its name says, or atoms are near as bonded ones that cannot be bonded.
        StateError
            If positions are not finite or not of this topology.
        """
        positions = self._checked(positions)
        chain = closed(self, positions)
        atom14_index = self.atom14_index.copy()
        for i, letter in enumerate(self.sequence):
            three = residues.ONE_TO_THREE[letter]
            for centre in stereocentres(three):
                slots = [residues.ATOM14_NAMES[three].index(name) for name in centre]
                if not mirrored(positions[atom14_index[i, slots]], _ONE_CENTRE):
                    continue
                if centre != METHYL_CENTRES.get(three):
                    raise UnsupportedTopologyError(
                        f"{self.residue_labels[i]}, atom {centre[0]}: mirrored or flat. The model knows L amino acids "
                        f"only: this is {epimer(three, centre[:1])}, or the structure is broken; check it, or minimise "
                        "it first."
                    )
                atom14_index[i, slots[2:]] = atom14_index[i, slots[:1:-1]]
        return replace(chain, atom14_index=atom14_index)

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
        """CA and C before the first residue: those of the last one of a closed chain, or points of an N-terminal cap.

        Parameters
        ----------
        positions : (..., N, 3), nm
            As for `atom14`.

        Returns
        -------
        (..., 2, 3) ångström, or None for a chain whose N terminus is free.
        """
        if self.is_cyclic:
            return self.atom14(positions)[..., -1, 1:3, :]
        if self.n_cap is None:
            return None
        positions = np.asarray(positions)[..., self.before_index, :]
        return to_angstrom(torch.as_tensor(caps.before(self.n_cap, positions)))

    def warn_of_caps_and_closures(self, weights: str, *, known: bool) -> None:
        """Warn if the chain is closed, or is capped and the weights of that name were trained on free ends only."""
        names = [name for name in (self.n_cap, self.c_cap) if name is not None]
        if self.is_cyclic:
            warnings.warn(
                f"weights {weights!r} were trained on open chains, and this one is closed head to tail: its ends move "
                "as those of open chains do, as far as the bond between them lets them.",
                stacklevel=4,
            )
        if self.disulfides:
            pairs = ", ".join(f"{self.residue_labels[i]} to {self.residue_labels[j]}" for i, j in self.disulfides)
            warnings.warn(
                f"weights {weights!r} are told nothing of disulfides ({pairs}): unless their training data had them, "
                "the chain moves as one without, as far as the bonds let it.",
                stacklevel=4,
            )
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
        return PSI_GROUP
    return int(residues.ATOM14_GROUP[residues.RESTYPE_INDEX[parent], residues.ATOM14_NAMES[parent].index(name)])


def _group_on(parent: str, root: str, *, is_free: bool) -> int:
    """Rigid group of an atom that hangs on an atom in a slot: it moves with the other atoms bonded to that one.

    `is_free` marks the first residue of a chain without a cap, which has no phi.
    """
    if root == "N":
        return 0 if is_free else PHI_GROUP
    if root == "C":
        return PSI_GROUP
    for k, (_, _, axis_end, _) in enumerate(residues.CHI_ATOMS[parent]):
        if root == axis_end:
            return 4 + k
    return _heavy_group(parent, root)
