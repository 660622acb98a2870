"""Torsions of trajectories, and how far two distributions of them lie apart.

A torsion is named as in the published results: kind, chain index, residue name, residue number, e.g. ``"PHI 0 ALA 2"``.
Angles in radian. The torsion distance is that of Jing et al. 2024 (MDGen): the square root of the Jensen-Shannon
divergence (natural logarithm) of two histograms of 100 bins over (-pi, pi); 0 for equal distributions, 0.83 for
disjoint ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import mdtraj
import numpy as np
from scipy.spatial.distance import jensenshannon

from openmm_mdgen.errors import MDGenError, StateError

N_BINS = 100

# How to find each kind, and which of its four atoms belongs to the residue it is named after.
_KINDS = {
    "PHI": (mdtraj.compute_phi, 1),
    "PSI": (mdtraj.compute_psi, 0),
    "CHI1": (mdtraj.compute_chi1, 0),
    "CHI2": (mdtraj.compute_chi2, 0),
    "CHI3": (mdtraj.compute_chi3, 0),
    "CHI4": (mdtraj.compute_chi4, 0),
}
_BACKBONE = {"PHI", "PSI"}


class TorsionMeans(NamedTuple):
    """Mean torsion distances; nan where there is no such torsion."""

    backbone: float  # phi, psi
    sidechain: float  # chi1 to chi4
    all: float


def torsions(trajectory: mdtraj.Trajectory) -> dict[str, np.ndarray]:
    """Every phi, psi and chi1-chi4 by name, each ``(n_frames,)`` radian in [-pi, pi].

    Raises
    ------
    StateError
        If a position is not finite.
    """
    if not np.isfinite(trajectory.xyz).all():
        raise StateError("the trajectory has positions that are not finite: leave those frames out")
    named = {}
    for kind, (compute, owner) in _KINDS.items():
        atoms, angles = compute(trajectory, periodic=False)
        for quadruple, series in zip(atoms, angles.T, strict=True):
            residue = trajectory.topology.atom(quadruple[owner]).residue
            named[f"{kind} {residue.chain.index} {residue.name} {residue.resSeq}"] = series
    return named


def torsion_histograms(trajectory: mdtraj.Trajectory | Iterable[mdtraj.Trajectory]) -> dict[str, np.ndarray]:
    """Counts of each torsion in 100 bins over (-pi, pi), ``(100,)`` int.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory, or its pieces
        Pieces, e.g. from ``mdtraj.iterload``, keep memory small however long the trajectory.

    Raises
    ------
    MDGenError
        If there is no frame.
    """
    counts: dict[str, np.ndarray] = {}
    n_frames = 0
    for piece in [trajectory] if isinstance(trajectory, mdtraj.Trajectory) else trajectory:
        n_frames += piece.n_frames
        for name, angles in torsions(piece).items():
            # float32's pi lies outside of the range
            binned, _ = np.histogram(np.clip(angles, -np.pi, np.pi, dtype=float), bins=N_BINS, range=(-np.pi, np.pi))
            counts[name] = counts.get(name, 0) + binned
    if n_frames == 0:
        raise MDGenError("a trajectory without frames has no distribution")
    return counts


def torsion_distances(
    generated: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
    reference: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
) -> dict[str, float]:
    """The torsion distance by name, between two trajectories of the same molecule.

    Parameters
    ----------
    generated, reference : mdtraj.Trajectory, or its pieces
        Any numbers of frames.

    Raises
    ------
    MDGenError
        If they are not of the same molecule, or one has no frame.
    """
    ours, theirs = torsion_histograms(generated), torsion_histograms(reference)
    if ours.keys() != theirs.keys():
        differing = ", ".join(sorted(ours.keys() ^ theirs.keys())[:4])
        raise MDGenError(f"the trajectories are of different molecules: only one of them has {differing}")
    return {name: float(jensenshannon(ours[name], theirs[name])) for name in ours}


def mean_torsion_distances(distances: dict[str, float]) -> TorsionMeans:
    """Means over the backbone's, the side chains' and all torsions."""
    backbone = [distance for name, distance in distances.items() if name.split()[0] in _BACKBONE]
    sidechain = [distance for name, distance in distances.items() if name.split()[0] not in _BACKBONE]

    def mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    return TorsionMeans(mean(backbone), mean(sidechain), mean(backbone + sidechain))
