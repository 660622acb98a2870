"""Where a molecule stands along a transition path: progress and distance (Branduardi, Gervasio, Parrinello 2007).

A path is a row of *nodes* in a space of *features*: torsions as points on circles, or superposed coordinates. With
squared distances ``d_k`` to the K nodes and a sharpness ``lambda``,

    progress = sum_k k exp(-lambda d_k) / sum_k exp(-lambda d_k) / (K - 1)
    distance = -log(sum_k exp(-lambda d_k)) / lambda

Axes: ``N`` atoms, ``K`` nodes, ``*F`` feature axes. Positions are in nanometre. All is computed by torch, which gives
the gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import mdtraj
import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path
from torch import Tensor, nn

from openmm_mdgen.arguments import require, require_trajectory, valid_count
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.geometry.rigid import superposition
from openmm_mdgen.molecule.positions import as_topology, in_nanometre

_FEWEST_NODES = 5
_MOST_FRAMES = 2000  # since distances are measured between all of them
_BACKBONE = (mdtraj.compute_phi, mdtraj.compute_psi)
_SIDECHAIN = (mdtraj.compute_chi1, mdtraj.compute_chi2, mdtraj.compute_chi3, mdtraj.compute_chi4)
_LEAST = 1e-6  # squared distance above which two conformations differ


class Space(Protocol):
    """Features of a molecule, and their distances."""

    atoms: Tensor  # (n,) int: atoms on which features depend
    spacing: float  # distance between nodes, about that of thermal motion within a state

    def features(self, positions: Tensor) -> Tensor:
        """Features (..., *F) of positions (..., n, 3) of `atoms`."""
        ...

    def squared_distances(self, features: Tensor, others: Tensor) -> Tensor:
        """Squared distances (K,) between features (*F) and others (K, *F)."""
        ...

    def mended(self, features: Tensor) -> Tensor:
        """Means of features, (..., *F), moved to where features can lie, such as back onto circles."""
        ...


class TorsionSpace(nn.Module):
    """Torsions as (cos, sin); the squared distance is the mean over torsions of 2 - 2 cos of their difference.

    Parameters
    ----------
    quadruples : (n_torsions, 4) int
        Numbers of the atoms of each torsion.

    Raises
    ------
    MDGenError
        If these are no numbers of atoms, four a torsion.
    """

    spacing = 0.17  # 10 degrees
    atoms: Tensor
    quadruples: Tensor

    def __init__(self, quadruples: np.ndarray) -> None:
        super().__init__()
        quadruples = _atom_numbers("quadruples", quadruples, 2)
        if quadruples.shape[1] != 4:
            raise MDGenError(f"quadruples of shape {quadruples.shape}: give the numbers of four atoms for each torsion")
        atoms, inverse = np.unique(quadruples, return_inverse=True)
        self.register_buffer("atoms", torch.as_tensor(atoms))
        self.register_buffer("quadruples", torch.as_tensor(inverse.reshape(-1, 4)))

    @staticmethod
    def backbone(topology: mdtraj.Topology) -> TorsionSpace:
        """The space of every phi and psi.

        Parameters
        ----------
        topology : mdtraj.Topology or openmm.app.Topology

        Raises
        ------
        MDGenError
            If the molecule has neither.
        """
        quadruples = _quadruples(topology, _BACKBONE)
        if len(quadruples) == 0:
            raise MDGenError("the molecule has no phi or psi: lead it in coordinates (CoordinateSpace)")
        return TorsionSpace(quadruples)

    @staticmethod
    def between(start: mdtraj.Trajectory, end: mdtraj.Trajectory) -> TorsionSpace:
        """The space of the torsions that tell two states apart.

        Taken are phi, psi and chi whose mean points on the unit circle lie more than 1 apart. Torsions that turn alike
        in both states would hide the transition behind their own motion.

        Parameters
        ----------
        start, end : mdtraj.Trajectory
            Frames of one state each.

        Raises
        ------
        MDGenError
            If no torsion tells them apart, or molecules differ.
        StateError
            If a state has no frame, or a position is not finite.
        """
        for name, state in (("start", start), ("end", end)):
            require_trajectory(name, state)
            if state.n_frames < 1 or not np.isfinite(state.xyz).all():
                raise StateError(
                    f"{name} has no frame, or positions that are not finite: give real frames of that state"
                )
        if start.topology != end.topology:
            raise MDGenError("the two states have to be of one molecule: give both with the same topology")
        every = TorsionSpace(_quadruples(start.topology, _BACKBONE + _SIDECHAIN))
        means = [every.features(torch.as_tensor(state.xyz[:, every.atoms.numpy()])).mean(0) for state in (start, end)]
        apart = (means[0] - means[1]).norm(dim=-1) > 1
        if not apart.any():
            raise MDGenError("no torsion tells the two states apart: lead in coordinates (CoordinateSpace)")
        return TorsionSpace(every.atoms[every.quadruples[apart]].numpy())

    def typical(self, state: mdtraj.Trajectory) -> mdtraj.Trajectory:
        """The frame of a state that is nearest to the mean of the state's features."""
        features = self.features(torch.as_tensor(state.xyz[:, self.atoms.numpy()]))
        return state[int(self.squared_distances(features, features.mean(0)).argmin())]

    def features(self, positions: Tensor) -> Tensor:
        a, b, c, d = (positions[..., self.quadruples[:, k], :] for k in range(4))
        axis = nn.functional.normalize(c - b, dim=-1)
        before, after = a - b, d - c
        up = before - (before * axis).sum(-1, keepdim=True) * axis
        arm = after - (after * axis).sum(-1, keepdim=True) * axis
        cos, sin = (up * arm).sum(-1), (torch.linalg.cross(axis, up) * arm).sum(-1)
        return nn.functional.normalize(torch.stack([cos, sin], dim=-1), dim=-1)

    def squared_distances(self, features: Tensor, others: Tensor) -> Tensor:
        return (features - others).square().sum(-1).mean(-1)

    def mended(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(features, dim=-1)


class CoordinateSpace(nn.Module):
    """Positions of some atoms; the squared distance is the mean squared deviation after superposition, in nm^2.

    Parameters
    ----------
    atoms : (n,) int
        Numbers of the atoms.
    reference : (n, 3) nm
        Positions on which paths are superposed before they are averaged; of these atoms alone.

    Raises
    ------
    MDGenError
        If these are no numbers of at least three atoms, or not as many finite positions.
    """

    spacing = 0.03  # nm
    atoms: Tensor
    reference: Tensor

    def __init__(self, atoms: np.ndarray, reference: np.ndarray) -> None:
        super().__init__()
        atoms, reference = _atom_numbers("atoms", atoms, 1), in_nanometre("reference", reference)
        if len(atoms) < 3:
            raise MDGenError(f"{len(atoms)} atoms have no shape: give at least three")
        if reference.shape != (len(atoms), 3) or not np.isfinite(reference).all():
            raise MDGenError(
                f"reference of shape {reference.shape} for {len(atoms)} atoms, or not finite: give the positions of "
                "these atoms alone, such as frame[atoms], in nm"
            )
        self.register_buffer("atoms", torch.as_tensor(atoms))
        self.register_buffer("reference", _centred(torch.as_tensor(reference)))

    def features(self, positions: Tensor) -> Tensor:
        return _centred(positions)

    def squared_distances(self, features: Tensor, others: Tensor) -> Tensor:
        with torch.no_grad():  # at the best rotation the distance does not change with it
            weights = others.new_ones(others.shape[-2])
            fitted = superposition(features.expand_as(others), others, weights)
        moved = features @ fitted.rotation.mT
        return (moved - others).square().sum(-1).mean(-1)

    def mended(self, features: Tensor) -> Tensor:
        reference = self.reference.to(features)
        fitted = superposition(features, reference.expand_as(features), features.new_ones(features.shape[-2]))
        return features @ fitted.rotation.mT


class TransitionPath(nn.Module):
    """Progress and distance of positions along nodes.

    Parameters
    ----------
    space : Space
    nodes : (K, *F) Tensor
        Features at places about equally far apart.

    Raises
    ------
    MDGenError
        If there are fewer than two nodes, one is not finite, or all are at one place.

    Examples
    --------
    >>> space = TorsionSpace.backbone(trajectory.topology)
    >>> path = TransitionPath.through(space, [trajectory])
    >>> progress, distance = path(torch.as_tensor(positions)[space.atoms])
    """

    nodes: Tensor

    def __init__(self, space: Space, nodes: Tensor) -> None:
        super().__init__()
        if len(nodes) < 2 or not torch.isfinite(nodes).all():
            raise MDGenError("a path has at least two nodes, all of them finite: make one by TransitionPath.through")
        self.space = space
        self.register_buffer("nodes", nodes.double())
        gaps = torch.stack([space.squared_distances(a, b[None])[0] for a, b in zip(nodes[:-1], nodes[1:], strict=True)])
        _require_way(float(gaps.max()))
        self.sharpness = math.log(10) / float(gaps.mean())  # a neighbour counts a tenth

    @staticmethod
    def through(
        space: Space, trajectories: Sequence[mdtraj.Trajectory], *, n_nodes: int | None = None
    ) -> TransitionPath:
        """Make one path without detours from generated transition paths between the same ends.

        Of all frames those are kept that lead from the first to the last with the least sum of squared hops. They are
        smoothed, and nodes are put at equal distances along them.

        Parameters
        ----------
        space : Space
        trajectories : sequence of mdtraj.Trajectory
            All atoms. The first one's first and last frames are the ends of the path.
        n_nodes : int, optional
            Number of nodes; by default neighbours are the space's `spacing` apart.

        Returns
        -------
        TransitionPath

        Raises
        ------
        MDGenError
            If there are fewer than three frames, molecules differ, or the ends are the same.
        """
        require("space", space, hasattr(space, "squared_distances"), "a TorsionSpace or a CoordinateSpace")
        n_nodes = None if n_nodes is None else valid_count("n_nodes", n_nodes, least=2)
        positions = _positions(space, trajectories)
        features = space.features(positions)
        squared = torch.stack([space.squared_distances(one, features) for one in features])
        last = trajectories[0].n_frames - 1
        _require_way(float(squared[0, last]))
        _, before = shortest_path(squared.numpy() + 1e-12, method="D", indices=0, return_predecessors=True)
        way = [last]
        while way[-1] != 0:
            way.append(int(before[way[-1]]))
        kept = space.mended(features[way[::-1]])
        return TransitionPath(space, _equidistant(space, _smoothed(space, kept), n_nodes))

    @property
    def atoms(self) -> np.ndarray:
        """Numbers (n,) of the atoms whose positions it takes."""
        return self.space.atoms.numpy()

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Progress in [0, 1] and distance, in units of the space, of positions (n, 3) of `atoms`."""
        exponents = -self.sharpness * self.space.squared_distances(self.space.features(positions), self.nodes)
        weights = exponents.softmax(-1)
        places = torch.linspace(0, 1, self.nodes.shape[0], dtype=weights.dtype, device=weights.device)
        return (weights * places).sum(-1), -exponents.logsumexp(-1) / self.sharpness

    def along(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Progress and distance, (n_frames,) each, of frames (n_frames, N, 3) in nm of the whole molecule.

        Raises
        ------
        MDGenError
            If these are no frames of the whole molecule.
        StateError
            If a position is not finite.
        """
        positions = in_nanometre("positions", positions)
        if positions.ndim != 3 or positions.shape[1] <= self.atoms.max() or positions.shape[2] != 3:
            raise MDGenError(
                f"positions of shape {positions.shape}: give (frames, all atoms of the molecule, 3), in nm"
            )
        if not np.isfinite(positions).all():
            raise StateError("positions along a path are not finite: leave those frames out")
        with torch.no_grad():
            frames = torch.as_tensor(positions[:, self.atoms])
            found = [self(frame) for frame in frames]
        return np.array([float(s) for s, _ in found]), np.array([float(z) for _, z in found])


def _quadruples(topology: mdtraj.Topology, kinds: Sequence[Callable[..., tuple[np.ndarray, np.ndarray]]]) -> np.ndarray:
    """Numbers (n_torsions, 4) of the atoms of the torsions of some kinds."""
    if not isinstance(topology, mdtraj.Topology):
        topology = mdtraj.Topology.from_openmm(as_topology(topology))
    one = mdtraj.Trajectory(np.zeros((1, topology.n_atoms, 3)), topology)
    return np.concatenate([compute(one, periodic=False)[0] for compute in kinds])


def _atom_numbers(name: str, numbers: np.ndarray, n_axes: int) -> np.ndarray:
    """Numbers of atoms from 0, at least one; `MDGenError` where they are something else, such as a mask."""
    found = np.asarray(numbers)
    if found.ndim != n_axes or found.dtype.kind not in "iu" or not found.size or found.min() < 0:
        raise MDGenError(f"{name} are no atom numbers (shape {found.shape}, {found.dtype}): give whole numbers from 0")
    return found


def _require_way(squared: float) -> None:
    if not squared > _LEAST:
        raise MDGenError("the path stands still: its first and last frame have to be different conformations")


def _positions(space: Space, trajectories: Sequence[mdtraj.Trajectory]) -> Tensor:
    require(
        "trajectories", trajectories, not isinstance(trajectories, mdtraj.Trajectory), "a list, such as [trajectory]"
    )
    for trajectory in trajectories:
        require_trajectory("one of the trajectories", trajectory)
        if not np.isfinite(trajectory.xyz).all():
            raise StateError("the trajectories of a path have positions that are not finite: leave those frames out")
    if not trajectories or sum(t.n_frames for t in trajectories) < 3:
        raise MDGenError("a path needs a trajectory of at least three frames from one state to the other")
    if len({t.n_atoms for t in trajectories}) > 1 or int(space.atoms.max()) >= trajectories[0].n_atoms:
        raise MDGenError("the trajectories of a path have to be of one molecule, that of the space")
    atoms = space.atoms.numpy()
    frames = trajectories[0].xyz[:, atoms]
    others = [t.xyz[:, atoms] for t in trajectories[1:]]
    if others:
        stride = -(-sum(map(len, others)) // max(1, _MOST_FRAMES - len(frames)))
        frames = np.concatenate([frames, np.concatenate(others)[::stride]])
    return torch.as_tensor(frames.astype(np.float64))


def _smoothed(space: Space, features: Tensor) -> Tensor:
    """Features averaged over three neighbours; the ends stay."""
    if len(features) < 3:
        return features
    inner = (features[:-2] + features[1:-1] + features[2:]) / 3
    return torch.cat([features[:1], space.mended(inner), features[-1:]])


def _equidistant(space: Space, features: Tensor, n: int | None) -> Tensor:
    """Nodes (n, *F) at equal distances on the polygon through the features."""
    for _ in range(3):  # mending moves nodes a little: measure again
        pairs = zip(features[:-1], features[1:], strict=True)
        gaps = torch.stack([space.squared_distances(a, b[None])[0] for a, b in pairs]).sqrt().numpy()
        length = np.concatenate([[0], gaps.cumsum()])
        n = n or max(_FEWEST_NODES, 1 + round(float(length[-1]) / space.spacing))
        places = np.interp(np.linspace(0, length[-1], n), length, np.arange(len(features)))
        left = np.minimum(places.astype(int), len(features) - 2)
        share = torch.as_tensor(places - left).view(-1, *[1] * (features.ndim - 1))
        features = space.mended((1 - share) * features[left] + share * features[left + 1])
    return features


def _centred(positions: Tensor) -> Tensor:
    return positions - positions.mean(-2, keepdim=True)
