"""Bonds of a topology whose file may not tell them: from the file, from standard residues, or from short distances."""

from __future__ import annotations

from collections.abc import Sequence

import mdtraj
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

_LONGEST, _LONGEST_TO_HYDROGEN = 0.2, 0.13  # nm


def complete_bonds(
    topology: mdtraj.Topology,
    atoms: Sequence[dict[str, int]],
    residue_names: Sequence[str],
    xyz: np.ndarray | None,
    box: np.ndarray | None,
) -> list[tuple[int, int]]:
    """The bonds of all atoms.

    Those of the topology come first. If it has none, those of standard residues are taken; an atom that is still
    without a bond is joined to the atoms of its own and the next residues that lie at the distance of a bond in the
    first frame.

    Parameters
    ----------
    topology : mdtraj.Topology
    atoms : sequence of dict of str to int
        Heavy atoms of each residue by the PDB's names.
    residue_names : sequence of str
        Standard names.
    xyz : (n_frames, n_atoms, 3), nm, optional
    box : (n_frames, 3, 3), nm, optional

    Returns
    -------
    list of (int, int)
    """
    found = [(a.index, b.index) for a, b in topology.bonds] or _standard_bonds(topology, atoms, residue_names)
    if xyz is None or len(xyz) == 0:
        return found
    bonded = {index for bond in found for index in bond}
    companions = {a.index: [b.index for b in a.residue.atoms] for a in topology.atoms}
    loose = [k for k in range(topology.n_atoms) if k not in bonded and len(companions[k]) > 1]
    return found + _close_pairs(topology, loose, set(loose), xyz[0], None if box is None else box[0])


def spanning_tree(n_atoms: int, bonds: Sequence[tuple[int, int]]) -> np.ndarray:
    """Bonds (n, 2) int32 that reach every molecule's atoms one after the other, the nearer end first."""
    pairs = np.array(bonds, dtype=np.int32).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms)).tocsr()
    graph = graph + graph.T
    seen = np.zeros(n_atoms, dtype=bool)
    tree: list[tuple[int, int]] = []
    for start in range(n_atoms):
        if not seen[start]:
            order, before = breadth_first_order(graph, start, directed=False)
            seen[order] = True
            tree += [(int(before[k]), int(k)) for k in order[1:]]
    return np.array(tree, dtype=np.int32).reshape(-1, 2)


def _standard_bonds(
    topology: mdtraj.Topology, atoms: Sequence[dict[str, int]], residue_names: Sequence[str]
) -> list[tuple[int, int]]:
    """Those of a copy in which residues and heavy atoms have the PDB's names."""
    name_of = {index: name for named in atoms for name, index in named.items()}
    residue_of = {index: name for named, name in zip(atoms, residue_names, strict=True) for index in named.values()}
    copy = mdtraj.Topology()
    for chain in topology.chains:
        own = copy.add_chain()
        for residue in chain.residues:
            names = {residue_of[atom.index] for atom in residue.atoms if atom.index in residue_of}
            standard = copy.add_residue(min(names) if len(names) == 1 else residue.name, own)
            for atom in residue.atoms:
                copy.add_atom(name_of.get(atom.index, atom.name), atom.element, standard)
    copy.create_standard_bonds()
    return [(a.index, b.index) for a, b in copy.bonds]


def _close_pairs(
    topology: mdtraj.Topology, loose: list[int], is_loose: set[int], xyz: np.ndarray, box: np.ndarray | None
) -> list[tuple[int, int]]:
    hydrogen = np.array([atom.element.symbol in ("H", "D") for atom in topology.atoms])
    pairs = []
    for k in loose:
        apart = xyz.astype(float) - xyz[k]
        if box is not None:
            apart -= np.round(np.linalg.solve(box.T, apart.T).T) @ box
        lengths = np.linalg.norm(apart, axis=-1)
        lengths[k] = np.inf
        if hydrogen[k]:
            lengths[hydrogen] = np.inf
            nearest = int(lengths.argmin())
            if lengths[nearest] <= _LONGEST_TO_HYDROGEN:
                pairs.append((nearest, k))
            continue
        lengths[hydrogen] = np.inf
        pairs += [(k, int(j)) for j in np.flatnonzero(lengths <= _LONGEST) if j not in is_loose or j > k]
    return pairs
