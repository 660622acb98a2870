"""Molecules that a program has wrapped into the periodic box atom by atom, made whole. Nanometre."""

from __future__ import annotations

import mdtraj
import numpy as np

from openmm_mdgen.analysis.bonds import spanning_tree
from openmm_mdgen.analysis.layout import TORN, Layout
from openmm_mdgen.errors import StateError
from openmm_mdgen.geometry.bonds import lengths as lengths_of

_SMALLEST_BOX = 1.0  # nm; files of molecules without a box often hold a dummy one of 0.1 nm


def made_whole(piece: mdtraj.Trajectory, layout: Layout, first: int) -> mdtraj.Trajectory:
    """The frames with every molecule in one piece; those that are whole already stay as they are.

    Parameters
    ----------
    piece : mdtraj.Trajectory
        Positions have to be finite.
    layout : Layout
        That of its topology.
    first : int
        Number of the piece's first frame in the file, for messages.

    Returns
    -------
    mdtraj.Trajectory

    Raises
    ------
    StateError
        If a frame is torn and the box is not known.
    """
    bonds = np.array([*layout.bonds, *layout.alpha_links()], dtype=int).reshape(-1, 2)
    lengths = lengths_of(piece.xyz, bonds)
    torn = np.flatnonzero((lengths > TORN).any(axis=1))
    if len(torn) == 0:
        return piece
    if _box_is_known(piece):
        frames = piece[torn]
        frames.make_molecules_whole(inplace=True, sorted_bonds=spanning_tree(piece.n_atoms, [tuple(b) for b in bonds]))
        left = lengths_of(frames.xyz, bonds) > TORN
        piece = mdtraj.Trajectory(
            piece.xyz.copy(), piece.topology, piece.time, piece.unitcell_lengths, piece.unitcell_angles
        )
        piece.xyz[torn] = frames.xyz
        if not left.any():
            return piece
        torn, lengths = torn[left.any(axis=1)], lengths_of(piece.xyz, bonds)
    frame = int(torn[0])
    bond = int(lengths[frame].argmax())
    a, b = (piece.topology.atom(int(k)) for k in bonds[bond])
    raise StateError(
        f"{layout.file}: in frame {first + frame} (from 0) the molecule is torn: {a.name} of {a.residue} and {b.name} "
        f"of {b.residue} are bonded, but {lengths[frame, bond]:.2f} nm apart. If it is split across the periodic box, "
        "make it whole first (e.g. mdtraj's image_molecules)"
    )


def box_vectors(piece: mdtraj.Trajectory) -> np.ndarray | None:
    """Vectors of the periodic box, (n_frames, 3, 3) nm; None where there is none, or a dummy."""
    return piece.unitcell_vectors.astype(float) if _box_is_known(piece) else None


def _box_is_known(piece: mdtraj.Trajectory) -> bool:
    lengths = piece.unitcell_lengths
    return lengths is not None and bool(np.isfinite(lengths).all()) and float(lengths.min()) >= _SMALLEST_BOX
