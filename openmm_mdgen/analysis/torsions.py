"""Torsions of trajectories, and how far two distributions of them lie apart.

A torsion is named as in the published results: kind, chain index, residue name, residue number, e.g. ``"PHI 0 ALA 2"``.
Angles in radian. Order: PHI and PSI in turn (for four residues PHI 2, PSI 1, PHI 3, PSI 2, PHI 4, PSI 3), then all
CHI1, CHI2 and so on. Axes: ``n_frames``, ``n_torsions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import mdtraj
import numpy as np

from openmm_mdgen.analysis.distances import angle_histogram, js_distance
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt, known
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.times import RECORDED, whole_number

# How to find each kind, and which of its four atoms belongs to the residue it is named after.
_BACKBONE = {"PHI": (mdtraj.compute_phi, 1), "PSI": (mdtraj.compute_psi, 0)}
_SIDECHAIN = {
    "CHI1": (mdtraj.compute_chi1, 0),
    "CHI2": (mdtraj.compute_chi2, 0),
    "CHI3": (mdtraj.compute_chi3, 0),
    "CHI4": (mdtraj.compute_chi4, 0),
    "CHI5": (mdtraj.compute_chi5, 0),
}
# Unchanged by a half turn but for the atoms' names.
_HALF_TURN = {("CHI2", "ASP"), ("CHI3", "GLU"), ("CHI2", "PHE"), ("CHI2", "TYR")}


class TorsionMeans(NamedTuple):
    """Mean torsion distances."""

    backbone: float | NotDefined  # phi, psi
    sidechain: float | NotDefined  # chi1 to chi5
    all: float | NotDefined


@dataclass(frozen=True, eq=False)
class TorsionSeries:
    """All torsions of a trajectory, in four bytes each."""

    names: tuple[str, ...]  # (n_torsions,)
    angles: np.ndarray  # (n_frames, n_torsions) float32, radian in [-pi, pi]
    frame_interval: float | NotDefined  # ps

    @property
    def n_frames(self) -> int:
        return len(self.angles)

    def __getitem__(self, name: str) -> np.ndarray:
        """(n_frames,) of one torsion."""
        return self.angles[:, self.names.index(name)]

    def features(self) -> np.ndarray:
        """(n_frames, 2 n_torsions) float32: cosine and sine of each torsion, side by side."""
        pairs = np.empty((*self.angles.shape, 2), dtype=np.float32)
        np.cos(self.angles, out=pairs[..., 0])
        np.sin(self.angles, out=pairs[..., 1])
        return pairs.reshape(self.n_frames, -1)

    def ordered(self, names: Sequence[str]) -> TorsionSeries:
        """The same torsions in the order of `names`; `MDGenError` if they are not the same."""
        require_same_torsions(self.names, names)
        if self.names == tuple(names):
            return self
        return replace(self, names=tuple(names), angles=self.angles[:, [self.names.index(name) for name in names]])

    def every(self, stride: int) -> TorsionSeries:
        """Every `stride`-th frame, from the first."""
        interval = attempt(lambda between: between * stride, self.frame_interval)
        return replace(self, angles=self.angles[::stride], frame_interval=interval)

    def sound(self) -> TorsionSeries:
        """Leave CHI5 out and fold symmetric ends: their angles are doubled, so that a half turn fills the circle."""
        kept = [k for k, name in enumerate(self.names) if not name.startswith("CHI5")]
        angles = self.angles[:, kept]
        names = tuple(self.names[k] for k in kept)
        for k, name in enumerate(names):
            kind, _, residue, _ = name.split()
            if (kind, residue) in _HALF_TURN:
                twice = 2 * angles[:, k]
                angles[:, k] = np.arctan2(np.sin(twice), np.cos(twice))
        return replace(self, names=names, angles=angles)

    def known_interval(self) -> float:
        """The frame interval, ps; `UndefinedError` if it is not known."""
        return known(self.frame_interval)

    def frames_in(self, time: float) -> int:
        """The number of frames that make up `time` ps.

        Raises
        ------
        UndefinedError
            If that is no whole number, or the frame interval is not known.
        """
        interval = self.known_interval()
        frames = whole_number(time, interval, tolerance=RECORDED)
        if frames is None:
            raise UndefinedError(f"a time of {time:g} ps is no whole number of frames of {interval:g} ps")
        return frames


def torsions(trajectory: mdtraj.Trajectory) -> dict[str, np.ndarray]:
    """Compute every phi, psi and chi1 to chi5 by name, each ``(n_frames,)`` radian in [-pi, pi].

    Raises
    ------
    StateError
        If a position is not finite.
    """
    finite = np.isfinite(trajectory.xyz).all(axis=(1, 2))
    if not finite.all():
        time = trajectory.time[np.argmin(finite)]
        raise StateError(
            f"the trajectory has positions that are not finite, first at time {time:g} ps: leave those frames out"
        )
    pair = [_named(trajectory, kind, *how) for kind, how in _BACKBONE.items()]
    named = [entry for both in zip(*pair, strict=True) for entry in both]
    for kind, how in _SIDECHAIN.items():
        named += _named(trajectory, kind, *how)
    return dict(named)


def _named(trajectory: mdtraj.Trajectory, kind: str, compute, owner: int) -> list[tuple[str, np.ndarray]]:
    atoms, angles = compute(trajectory, periodic=False)
    owners = [trajectory.topology.atom(quadruple[owner]).residue for quadruple in atoms]
    names = [f"{kind} {residue.chain.index} {residue.name} {residue.resSeq}" for residue in owners]
    return list(zip(names, angles.T, strict=True))


def torsion_histograms(trajectory: mdtraj.Trajectory | Iterable[mdtraj.Trajectory]) -> dict[str, np.ndarray]:
    """Count each torsion in 100 bins over (-pi, pi), ``(100,)`` int.

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
            counts[name] = counts.get(name, 0) + angle_histogram(angles)
    if n_frames == 0:
        raise MDGenError("a trajectory without frames has no distribution")
    return counts


def torsion_distances(
    generated: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
    reference: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
) -> dict[str, float]:
    """Compute the distance of each torsion (see `distances`) between two trajectories of the same molecule.

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
    require_same_torsions(tuple(ours), tuple(theirs))
    return {name: float(js_distance(ours[name], theirs[name])) for name in ours}


def require_same_torsions(generated: Sequence[str], reference: Sequence[str]) -> None:
    """Raise `MDGenError` unless both trajectories have the same torsions."""
    if set(generated) != set(reference):
        differing = ", ".join(sorted(set(generated) ^ set(reference))[:4])
        raise MDGenError(
            f"the trajectories are of different molecules: only one of them has {differing}. Compare trajectories "
            "whose residues have the same names and numbers"
        )


def mean_torsion_distances(distances: dict[str, float]) -> TorsionMeans:
    """Means over the backbone's, the side chains' and all torsions."""
    backbone = [distance for name, distance in distances.items() if name.split()[0] in _BACKBONE]
    sidechain = [distance for name, distance in distances.items() if name.split()[0] in _SIDECHAIN]

    def mean(values: list[float], what: str) -> float | NotDefined:
        return float(np.mean(values)) if values else NotDefined(f"the molecule has no {what}")

    return TorsionMeans(
        mean(backbone, "backbone torsion"), mean(sidechain, "side-chain torsion"), mean(backbone + sidechain, "torsion")
    )


def torsion_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs whose joint histograms are published: second and third torsion, fourth and fifth, and so on.

    In the published order these are PSI of a residue with PHI of the residue after the next (so they
    are no Ramachandran pairs); see `ramachandran_pairs`.
    """
    backbone = [name for name in names if name.split()[0] in _BACKBONE]
    return [(backbone[k], backbone[k + 1]) for k in range(1, len(backbone) - 1, 2)]


def ramachandran_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """PHI and PSI of each residue that has both."""
    phis = [name for name in names if name.startswith("PHI ")]
    return [(phi, "PSI" + phi[3:]) for phi in phis if "PSI" + phi[3:] in names]
