"""Torsions of trajectories, and how far two distributions of them lie apart.

A torsion is named as in the published results: kind, chain index, residue name, residue number, e.g. ``"PHI 0 ALA 2"``.
Angles in radian. Order: PHI and PSI in turn (for four residues PHI 2, PSI 1, PHI 3, PSI 2, PHI 4, PSI 3), then all
CHI1, CHI2 and so on. Axes: ``n_frames``, ``n_torsions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import NamedTuple

import mdtraj
import numpy as np

from openmm_mdgen.analysis.coarse import coarse_atoms
from openmm_mdgen.analysis.distances import angle_histogram, js_distance
from openmm_mdgen.analysis.layout import TORN, Layout
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt, known
from openmm_mdgen.arguments import require, require_trajectory, valid_count
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.molecule import names as residue_names
from openmm_mdgen.times import RECORDED, whole_number

_BACKBONE = ("PHI", "PSI")
# Atoms of each kind of side-chain torsion, by names; residues have at most one of each.
_SIDECHAIN = {
    "CHI1": ("N CA CB CG", "N CA CB CG1", "N CA CB SG", "N CA CB OG", "N CA CB OG1"),
    "CHI2": ("CA CB CG CD", "CA CB CG CD1", "CA CB CG1 CD1", "CA CB CG OD1", "CA CB CG ND1", "CA CB CG SD"),
    "CHI3": ("CB CG CD NE", "CB CG CD CE", "CB CG CD OE1", "CB CG SD CE"),
    "CHI4": ("CG CD NE CZ", "CG CD CE NZ"),
    "CHI5": ("CD NE CZ NH1",),
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
    """All torsions of a trajectory, in four bytes each; or of several trajectories, one after the other."""

    names: tuple[str, ...]  # (n_torsions,)
    angles: np.ndarray  # (n_frames, n_torsions) float32, radian in [-pi, pi]
    frame_interval: float | NotDefined  # ps
    runs: tuple[int, ...] = ()  # numbers of frames of the trajectories; empty where there is but one

    def __post_init__(self) -> None:
        shape = np.shape(self.angles)
        if len(shape) != 2 or (self.names and shape[1] != len(self.names)):  # coordinates have no names
            raise MDGenError(
                f"angles of shape {shape} for {len(self.names)} torsions: give (frames, {len(self.names)})"
            )

    @classmethod
    def joined(cls, series: Sequence[TorsionSeries]) -> TorsionSeries:
        """Several trajectories of the same torsions.

        Raises
        ------
        MDGenError
            If their torsions or their frame intervals differ.
        """
        if len(series) == 1:
            return series[0]
        ordered = [one.ordered(series[0].names) for one in series]
        unknown = [one.frame_interval for one in ordered if isinstance(one.frame_interval, NotDefined)]
        intervals = [one.frame_interval for one in ordered if not isinstance(one.frame_interval, NotDefined)]
        if intervals and max(intervals) - min(intervals) > RECORDED * min(intervals):
            raise MDGenError(
                f"trajectories that belong together have frames {min(intervals):g} and {max(intervals):g} ps apart: "
                "write them with one frame interval, or state it if the files' times are wrong"
            )
        angles = np.concatenate([one.angles for one in ordered])
        return cls(series[0].names, angles, (unknown or intervals)[0], tuple(one.n_frames for one in ordered))

    @property
    def n_frames(self) -> int:
        """Of all trajectories together."""
        return len(self.angles)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of frames, one a trajectory."""
        return self.runs or (self.n_frames,)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Values of each frame, (n_frames, ...), one array a trajectory."""
        return np.split(values, np.cumsum(self.lengths)[:-1])

    def without(self, run: int) -> TorsionSeries:
        """All trajectories but one."""
        kept = [k for k in range(len(self.lengths)) if k != run]
        parts = self.split(self.angles)
        return replace(self, angles=np.concatenate([parts[k] for k in kept]), runs=tuple(self.lengths[k] for k in kept))

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
        """Every `stride`-th frame, from the first of each trajectory."""
        stride = valid_count("stride", stride)
        interval = attempt(lambda between: between * stride, self.frame_interval)
        parts = [part[::stride] for part in self.split(self.angles)]
        runs = tuple(len(part) for part in parts) if self.runs else ()
        return replace(self, angles=np.concatenate(parts), frame_interval=interval, runs=runs)

    def sound(self) -> TorsionSeries:
        """Leave CHI5 out and fold symmetric ends: their angles are doubled, so that a half turn fills the circle."""
        kept = [k for k, name in enumerate(self.names) if not name.startswith("CHI5")]
        angles = self.angles[:, kept]
        names = tuple(self.names[k] for k in kept)
        for k, name in enumerate(names):
            kind, _, residue, _ = name.split()
            if (kind, residue_names.parent(residue)) in _HALF_TURN:
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


def torsion_atoms(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Find the four atoms of each torsion, by name and in the published order.

    Where a layout has C-alpha atoms alone, their dihedrals (``"CA 0 ALA 1"``) stand in place of torsions.
    """
    before, after = layout.neighbours()
    phis, psis = [], []
    for residue in layout.sequence:
        own = residue.atoms
        if not {"N", "CA", "C"} <= own.keys():
            continue
        if residue.place in before and "C" in before[residue.place].atoms:
            last = before[residue.place].atoms["C"]
            phis.append((f"PHI {residue.label}", (last, own["N"], own["CA"], own["C"])))
        if residue.place in after and "N" in after[residue.place].atoms:
            following = after[residue.place].atoms["N"]
            psis.append((f"PSI {residue.label}", (own["N"], own["CA"], own["C"], following)))
    named = [entry for both in zip_longest(phis, psis) for entry in both if entry is not None]
    for kind, patterns in _SIDECHAIN.items():
        for residue in layout.sequence:
            matching = [p.split() for p in patterns if set(p.split()) <= residue.atoms.keys()]
            named += [(f"{kind} {residue.label}", tuple(residue.atoms[a] for a in names)) for names in matching[:1]]
    return dict(named or [(f"CA {label}", atoms) for label, atoms in coarse_atoms(layout)["ca_dihedrals"].items()])


def torsions(trajectory: mdtraj.Trajectory, layout: Layout | None = None) -> dict[str, np.ndarray]:
    """Compute every phi, psi and chi1 to chi5 by name, each ``(n_frames,)`` radian in [-pi, pi].

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
    layout : Layout, optional
        Which residues are linked. Default: those that follow each other without a hole.

    Returns
    -------
    dict of str to (n_frames,) float32

    Raises
    ------
    StateError
        If a position is not finite.
    """
    require_trajectory("trajectory", trajectory)
    finite = np.isfinite(trajectory.xyz).all(axis=(1, 2))
    if not finite.all():
        time = trajectory.time[np.argmin(finite)]
        raise StateError(
            f"the trajectory has positions that are not finite, first at time {time:g} ps: leave those frames out"
        )
    atoms = torsion_atoms(layout or _layout(trajectory))
    if not atoms:
        return {}
    angles = mdtraj.compute_dihedrals(trajectory, np.array(list(atoms.values())), periodic=False)
    return dict(zip(atoms, angles.T, strict=True))


def _layout(trajectory: mdtraj.Trajectory) -> Layout:
    """Of frames that may be far from any real chain: only what is torn apart counts as a hole."""
    return Layout.of(trajectory.topology, trajectory.xyz, longest=TORN)


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
    return _counted(trajectory)[0]


def _counted(
    trajectory: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
) -> tuple[dict[str, np.ndarray], Layout]:
    counts: dict[str, np.ndarray] = {}
    layout = None
    is_right = isinstance(trajectory, mdtraj.Trajectory | Iterable) and not isinstance(trajectory, str)
    require("trajectory", trajectory, is_right, "an mdtraj.Trajectory, or its pieces")
    for piece in [trajectory] if isinstance(trajectory, mdtraj.Trajectory) else trajectory:
        require_trajectory("one of the pieces", piece)
        if piece.n_frames == 0:
            continue
        layout = layout or _layout(piece)
        for name, angles in torsions(piece, layout).items():
            counts[name] = counts.get(name, 0) + angle_histogram(angles)
    if layout is None:
        raise MDGenError("a trajectory without frames has no distribution")
    return counts, layout


def torsion_distances(
    generated: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
    reference: mdtraj.Trajectory | Iterable[mdtraj.Trajectory],
) -> dict[str, float]:
    """Compute the distance of each torsion (see `distances`) between two trajectories of the same molecule.

    Parameters
    ----------
    generated, reference : mdtraj.Trajectory, or its pieces
        Trajectories of any numbers of frames. Residues are matched by their place in the chain.

    Returns
    -------
    dict of str to float
        By the reference's names.

    Raises
    ------
    MDGenError
        If they are not of the same molecule, or one has no frame.
    """
    (ours, own), (theirs, other) = _counted(generated), _counted(reference)
    if [residue.name for residue in own.sequence] == [residue.name for residue in other.sequence]:
        renamed = {a.label: b.label for a, b in zip(own.sequence, other.sequence, strict=True)}
        ours = {f"{name.split()[0]} {renamed[name.split(' ', 1)[1]]}": counts for name, counts in ours.items()}
    require_same_torsions(tuple(ours), tuple(theirs))
    return {name: float(js_distance(ours[name], theirs[name])) for name in theirs}


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
