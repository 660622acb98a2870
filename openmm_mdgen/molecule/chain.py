"""The adapter: an OpenMM topology to residues, heavy-atom slots and rigid groups, or a refusal that says why.

Axes: ``N`` atoms of the topology, ``n`` atoms of the protein chain (hydrogens and OXT included, in the topology's
order), ``L`` residues, ``14`` heavy-atom slots, ``8`` rigid groups (see `residues`). Positions come in nanometre, as
OpenMM has them, and leave in ångström.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

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
from openmm_mdgen.molecule.caps import CAP_NAMES, Cap, is_hydrogen

if TYPE_CHECKING:
    from openmm.app import Topology
    from openmm.app.topology import Atom, Residue

_PROTONATION_VARIANTS = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "HIS"),
    **dict.fromkeys(("CYX", "CYM"), "CYS"),
    "ASH": "ASP",
    "GLH": "GLU",
    "LYN": "LYS",
}
_STANDARD_NAME = {name: name for name in residues.RESTYPE_INDEX} | _PROTONATION_VARIANTS
_PSI_GROUP, _PHI_GROUP = 3, 2

_ONE_CENTRE = np.arange(4)[None]  # of four points
_AMINE_HYDROGENS = {"H1", "H2", "H3"}


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
    n_cap: str | None = None  # "ACE" or "FOR" if the first residue carries that cap
    c_cap: str | None = None  # "NME" or "NH2" if the last residue carries that cap
    before_index: np.ndarray | None = None  # (2,) int64, topology indices; see `caps.Cap.before_index`

    @classmethod
    def from_openmm(cls, topology: Topology) -> ProteinChain:
        """Read the protein chain; whatever is not bonded to it (water, ions, ligands) is left alone.

        Parameters
        ----------
        topology : openmm.app.Topology
            With exactly one chain that holds amino acids: the 20 standard ones in any protonation state, every heavy
            atom present, bonds defined. Each terminus is free (with or without OXT) or carries a cap (see `caps`).

        Raises
        ------
        UnsupportedTopologyError
            Naming chain, residue and atom. LEU and VAL atoms are in slots by name until `resolved` is called.
        """
        members, n_cap, c_cap = _members(topology)
        for residue in members:
            is_last = residue is members[-1] and c_cap is None
            _check_atoms(residue, _STANDARD_NAME[residue.name], is_last=is_last)
        parents, cap_bonds = _hydrogen_parents(topology, members, n_cap, c_cap)
        number = {residue.index: i for i, residue in enumerate(members)}
        place_of_cap = [(cap, i) for cap, i in ((n_cap, 0), (c_cap, len(members) - 1)) if cap is not None]
        carrier = number | {cap.residue.index: i for cap, i in place_of_cap}
        cap_of = {cap.residue.index: cap for cap, _ in place_of_cap}
        atom14_index = np.full((len(members), residues.N_SLOTS), -1, dtype=np.int64)
        atom_residue, atom_group, atom_indices, is_hydrogen_, labels = [], [], [], [], []
        for atom in topology.atoms():
            if atom.residue.index not in carrier:
                continue
            i = carrier[atom.residue.index]
            if atom.residue.index in cap_of:
                group = cap_of[atom.residue.index].group(atom)
            else:
                three = _STANDARD_NAME[atom.residue.name]
                if is_hydrogen(atom):
                    group = _hydrogen_group(three, parents[atom.index].name, is_free=i == 0 and n_cap is None)
                else:
                    group = _heavy_group(three, atom.name)
                    if atom.name in residues.ATOM14_NAMES[three]:
                        atom14_index[i, residues.ATOM14_NAMES[three].index(atom.name)] = atom.index
            atom_residue.append(i)
            atom_group.append(group)
            atom_indices.append(atom.index)
            is_hydrogen_.append(is_hydrogen(atom))
            labels.append(_describe(atom.residue))
        place = {index: k for k, index in enumerate(atom_indices)}
        listed = [(a.index, b.index) for a, b in topology.bonds() if a.index in place]
        held = {index for bond in listed for index in bond}
        listed += [(parent.index, index) for index, parent in parents.items() if index not in held]
        listed += [bond for bond in cap_bonds if bond not in listed and bond[::-1] not in listed]
        bonds = [(place[a], place[b]) for a, b in listed]
        sequence = "".join(residues.THREE_TO_ONE[_STANDARD_NAME[residue.name]] for residue in members)
        return cls(
            sequence=sequence,
            aatype=residues.aatype_from_sequence(sequence),
            n_atoms=topology.getNumAtoms(),
            atom_indices=np.array(atom_indices, dtype=np.int64),
            atom_residue=np.array(atom_residue, dtype=np.int64),
            atom_group=np.array(atom_group, dtype=np.int64),
            is_hydrogen=np.array(is_hydrogen_, dtype=bool),
            bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2),
            atom14_index=atom14_index,
            residue_labels=tuple(_describe(residue) for residue in members),
            atom_labels=tuple(labels),
            n_cap=None if n_cap is None else n_cap.name,
            c_cap=None if c_cap is None else c_cap.name,
            before_index=None if n_cap is None else n_cap.before_index,
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
                        "only; check the structure, or minimise it first."
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


def _members(topology: Topology) -> tuple[list[Residue], Cap | None, Cap | None]:
    """The amino acids of the one protein chain, each with a name that is known, and its caps."""
    residues_ = _protein_residues(topology)
    n_cap = c_cap = None
    if residues_[0].name in CAP_NAMES:
        n_cap = Cap.read(residues_[0], is_first=True, label=_describe(residues_[0]))
        residues_ = residues_[1:]
    if residues_ and residues_[-1].name in CAP_NAMES:
        c_cap = Cap.read(residues_[-1], is_first=False, label=_describe(residues_[-1]))
        residues_ = residues_[:-1]
    inside = next((residue for residue in residues_ if residue.name in CAP_NAMES), None)
    if inside is not None:
        raise UnsupportedTopologyError(
            f"{_describe(inside)}: a cap inside the chain. Two molecules need chains of their own (in a PDB file, a "
            "TER record between them), and the model takes one."
        )
    return residues_, n_cap, c_cap


def _protein_residues(topology: Topology) -> list[Residue]:
    """The amino acids of the one protein chain, each with a name that is known."""
    chains = [c for c in topology.chains() if any(residue.name in _STANDARD_NAME for residue in c.residues())]
    if not chains:
        raise UnsupportedTopologyError(
            "empty chain: the topology holds none of the 20 amino acids. Load a structure with one protein chain."
        )
    if len(chains) > 1:
        raise UnsupportedTopologyError(
            f"chains {', '.join(repr(chain.id) for chain in chains)} are all protein, and the model takes one chain. "
            f"Delete all but one, e.g. with openmm.app.Modeller.delete, or generate each by itself, without contacts "
            f"between chains, by chains='each' (--each-chain); "
            f"the second begins at {_describe(_first_protein_residue(chains[1]))}."
        )
    members = []
    for residue in chains[0].residues():
        names = {atom.name for atom in residue.atoms()}
        if residue.name in _STANDARD_NAME or residue.name in CAP_NAMES:
            members.append(residue)
        elif {"N", "CA", "C"} <= names:
            raise UnsupportedTopologyError(
                f"{_describe(residue)}, atom CA: not one of the 20 amino acids. Replace the residue by a standard one, "
                "e.g. with PDBFixer.replaceNonstandardResidues, or put a ligand in a chain of its own."
            )
    return members


def _check_atoms(residue: Residue, three: str, *, is_last: bool) -> None:
    """Refuse a residue whose heavy atoms are not exactly the standard ones (and OXT, in the last residue)."""
    names = [atom.name for atom in residue.atoms()]
    heavy = {atom.name for atom in residue.atoms() if not is_hydrogen(atom)}
    standard = {name for name in residues.ATOM14_NAMES[three] if name}
    duplicate = sorted({name for name in names if names.count(name) > 1})
    missing = [name for name in residues.ATOM14_NAMES[three] if name and name not in heavy]
    extra = sorted(heavy - standard - ({"OXT"} if is_last else set()))
    if duplicate:
        raise UnsupportedTopologyError(
            f"{_describe(residue)}, atom {', '.join(duplicate)}: present more than once. Keep one alternate location."
        )
    if missing:
        also = f" (and unexpected heavy atom {', '.join(extra)}: a name that differs from the PDB's?)" if extra else ""
        raise UnsupportedTopologyError(
            f"{_describe(residue)}, atom {', '.join(missing)}: missing heavy atom{also}. Add it, e.g. with "
            "PDBFixer.findMissingAtoms and addMissingAtoms."
        )
    if extra:
        raise UnsupportedTopologyError(
            f"{_describe(residue)}, atom {', '.join(extra)}: not a heavy atom of {three}. Modified residues and extra "
            "particles are not supported; remove the modification."
        )


def _hydrogen_parents(
    topology: Topology, members: list[Residue], n_cap: Cap | None, c_cap: Cap | None
) -> tuple[dict[int, Atom], list[tuple[int, int]]]:
    """The heavy atom each hydrogen is bonded to, by atom index, and the bonds of caps, as pairs of atom indices.

    Bonds that the model does not know are refused.
    """
    number = {residue.index: i for i, residue in enumerate(members)}
    ends = {cap.link: (members[i], name) for cap, i, name in ((n_cap, 0, "N"), (c_cap, -1, "C")) if cap is not None}
    cap_residues = {cap.residue.index for cap in (n_cap, c_cap) if cap is not None}
    parents: dict[int, Atom] = {}
    linked: set[int] = set()
    joined: set[Atom] = set()  # links of caps that are bonded to the chain
    for bond in topology.bonds():
        first, second = sorted(bond, key=lambda atom: atom.index)
        i, j = number.get(first.residue.index), number.get(second.residue.index)
        in_cap = [atom for atom in (first, second) if atom.residue.index in cap_residues]
        if in_cap:
            if first.residue is second.residue:
                continue
            cap_atom = in_cap[0]
            other = second if cap_atom is first else first
            if ends.get(cap_atom) == (other.residue, other.name):
                joined.add(cap_atom)
                continue
        elif i is None and j is None:
            continue
        elif i == j:
            for atom, other in ((first, second), (second, first)):
                if is_hydrogen(atom) and not is_hydrogen(other):
                    parents[atom.index] = other
            continue
        elif i is not None and j == i + 1 and (first.name, second.name) == ("C", "N"):
            linked.add(i)
            continue
        elif None not in (i, j) and (first.name, second.name) == ("SG", "SG"):
            continue
        raise UnsupportedTopologyError(
            f"{_describe(first.residue)}, atom {first.name} is bonded to {_describe(second.residue)}, atom "
            f"{second.name}. Besides the peptide bonds of one linear chain and disulfides, bonds between residues "
            "are not supported; remove what is attached."
        )
    hint = "Call topology.createStandardBonds() if the topology was made without bonds"
    for residue in members:
        nitrogen = next((atom for atom in residue.atoms() if atom.name == "N"), None)
        for atom in residue.atoms():
            if not is_hydrogen(atom) or atom.index in parents:
                continue
            if atom.name in _AMINE_HYDROGENS and nitrogen is not None:
                parents[atom.index] = nitrogen  # mdtraj gives those of a first proline no bonds
            else:
                raise UnsupportedTopologyError(
                    f"{_describe(residue)}, atom {atom.name}: hydrogen without a bond. {hint}; otherwise remove the "
                    "hydrogens and add them again with openmm.app.Modeller.addHydrogens."
                )
    for i in range(len(members) - 1):
        if i not in linked:
            raise UnsupportedTopologyError(
                f"{_describe(members[i])}, atom C is not bonded to {_describe(members[i + 1])}, atom N. {hint}; "
                "otherwise residues are missing here: model them, e.g. with PDBFixer.findMissingResidues."
            )
    for link, (residue, name) in ends.items():
        if link not in joined:
            raise UnsupportedTopologyError(
                f"{_describe(link.residue)}, atom {link.name} is not bonded to {_describe(residue)}, atom {name}. "
                f"{hint}; otherwise residues are missing between the cap and the chain."
            )
    cap_bonds = [(a.index, b.index) for cap in (n_cap, c_cap) if cap is not None for a, b in cap.bonds]
    return parents, cap_bonds


def _heavy_group(three: str, name: str) -> int:
    """Rigid group of a heavy atom; a carboxyl end turns as a whole, so OXT goes with O."""
    if name not in residues.ATOM14_NAMES[three]:
        return _PSI_GROUP
    return int(residues.ATOM14_GROUP[residues.RESTYPE_INDEX[three], residues.ATOM14_NAMES[three].index(name)])


def _hydrogen_group(three: str, parent: str, *, is_free: bool) -> int:
    """Rigid group of a hydrogen: it moves with the substituents of its heavy atom, not with the atom's own group.

    `is_free` marks the first residue of a chain without a cap, which has no phi.
    """
    if parent == "N":
        return 0 if is_free else _PHI_GROUP
    for k, (_, _, axis_end, _) in enumerate(residues.CHI_ATOMS[three]):
        if parent == axis_end:
            return 4 + k
    return _heavy_group(three, parent)


@cache
def _ideal_residues() -> np.ndarray:
    """(20, 14, 3) ångström: each residue with ideal geometry and all torsions zero."""
    n = residues.UNKNOWN
    torsions = torch.tensor([0.0, 1.0]).expand(n, residues.N_TORSIONS, 2)
    return atom14_from_rigids(torch.arange(n), Rigid.identity((n,), torsions), torsions).numpy()


def _first_protein_residue(chain) -> Residue:
    return next(residue for residue in chain.residues() if residue.name in _STANDARD_NAME)


def _describe(residue: Residue) -> str:
    return f"chain {residue.chain.id!r}, residue {residue.name} {residue.id}{residue.insertionCode.strip()}"
