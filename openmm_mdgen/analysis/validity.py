"""Whether frames are molecules: clashes, chain breaks, chirality, bond lengths and angles.

Lengths in nanometre, angles in degree, heavy atoms only (all are there whatever program wrote the trajectory).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import mdtraj
import numpy as np
from scipy.spatial import cKDTree

from openmm_mdgen.geometry.bonds import (
    ALPHA_CENTRE,
    CLASH,
    SIDE_CHAIN_CENTRES,
    BondGraph,
    lengths,
    triple_products,
)

BREAK = 0.2  # nm, of a peptide bond (0.133 nm)
BOND_EDGES = np.linspace(0.10, 0.22, 121)  # nm; shorter and longer ones are counted in the outer bins
ANGLE_EDGES = np.linspace(60, 180, 121)  # degree; likewise


@dataclass(frozen=True, eq=False)
class Histogram:
    """The distribution of all bonds, or of all angles, between the same elements."""

    counts: np.ndarray  # (120,) int
    mean: float
    deviation: float  # standard deviation


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a pass over a trajectory's frames has found; shares are of all frames."""

    n_frames: int
    valid: float  # neither clash nor break nor wrong chirality
    without_clash: float
    without_break: float
    right_chirality: float
    bonds: dict[str, Histogram]  # by elements, e.g. "C-N"
    angles: dict[str, Histogram]  # by elements, the middle one at the corner, e.g. "C-N-C"


class GeometryCounter:
    """Counts over pieces of a trajectory of one topology."""

    def __init__(self, topology: mdtraj.Topology) -> None:
        heavy = topology.subset([a.index for a in topology.atoms if a.element.symbol not in ("H", "D")])
        self._heavy = np.array([a.index for a in topology.atoms if a.element.symbol not in ("H", "D")])
        symbols = [atom.element.symbol for atom in heavy.atoms]
        graph = BondGraph.of(len(symbols), ((first.index, second.index) for first, second in heavy.bonds))
        self._near = graph.near()
        self._bonds = _by_element(graph.bonds, symbols)
        self._angles = _by_element(graph.angles(), symbols)
        self._links = _peptide_bonds(heavy)
        self._centres = _stereocentres(heavy)
        self._totals = np.zeros(5, dtype=int)  # frames; valid; without clash; unbroken; of right chirality
        self._bond_sums = {name: _Sums(BOND_EDGES) for name in self._bonds}
        self._angle_sums = {name: _Sums(ANGLE_EDGES) for name in self._angles}

    def add(self, xyz: np.ndarray) -> None:
        """(n_frames, n_atoms, 3) nm."""
        xyz = xyz[:, self._heavy]
        clear = np.array([not self._clashes(frame) for frame in xyz])
        whole = (lengths(xyz, self._links) <= BREAK).all(axis=1)
        chiral = (triple_products(xyz, self._centres) > 0).all(axis=1)
        self._totals += [len(xyz), (clear & whole & chiral).sum(), clear.sum(), whole.sum(), chiral.sum()]
        for name, index in self._bonds.items():
            self._bond_sums[name].add(lengths(xyz, index))
        for name, index in self._angles.items():
            self._angle_sums[name].add(_corner_angles(xyz, index))

    def result(self) -> Geometry:
        n_frames = int(self._totals[0])
        valid, clear, whole, chiral = (self._totals[1:] / n_frames).tolist()
        return Geometry(
            n_frames,
            valid,
            without_clash=clear,
            without_break=whole,
            right_chirality=chiral,
            bonds={name: sums.histogram() for name, sums in self._bond_sums.items()},
            angles={name: sums.histogram() for name, sums in self._angle_sums.items()},
        )

    def _clashes(self, frame: np.ndarray) -> bool:
        close = cKDTree(frame).query_pairs(CLASH, output_type="ndarray")
        return not self._near[close[:, 0], close[:, 1]].all()


class _Sums:
    """A histogram and the first two moments, gathered piece by piece."""

    def __init__(self, edges: np.ndarray) -> None:
        self._edges = edges
        self._counts = np.zeros(len(edges) - 1, dtype=int)
        self._n, self._first, self._second = 0, 0.0, 0.0
        self._shift = edges.mean()  # keeps the second moment free of cancellation

    def add(self, values: np.ndarray) -> None:
        values = values.ravel().astype(float)
        self._counts += np.histogram(np.clip(values, self._edges[0], self._edges[-1]), bins=self._edges)[0]
        shifted = values - self._shift
        self._n, self._first, self._second = (
            self._n + len(values),
            self._first + shifted.sum(),
            self._second + (shifted**2).sum(),
        )

    def histogram(self) -> Histogram:
        mean = self._first / self._n
        variance = max(self._second / self._n - mean**2, 0.0)
        return Histogram(self._counts, float(mean + self._shift), float(np.sqrt(variance)))


def _by_element(tuples: np.ndarray, symbols: list[str]) -> dict[str, np.ndarray]:
    """Index tuples gathered under the elements' names, read from the end that comes first in the alphabet."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for members in tuples.tolist():
        elements = [symbols[k] for k in members]
        groups.setdefault("-".join(min(elements, elements[::-1])), []).append(members)
    return {name: np.array(groups[name]) for name in sorted(groups)}


def _peptide_bonds(topology: mdtraj.Topology) -> np.ndarray:
    """(n, 2): C of each residue and N of the next in the same chain."""
    links = []
    for chain in topology.chains:
        named = [{atom.name: atom.index for atom in residue.atoms} for residue in chain.residues]
        links += [(a["C"], b["N"]) for a, b in pairwise(named) if "C" in a and "N" in b]
    return np.array(links, dtype=int).reshape(-1, 2)


def _stereocentres(topology: mdtraj.Topology) -> np.ndarray:
    """(n, 4)."""
    centres = []
    for residue in topology.residues:
        named = {atom.name: atom.index for atom in residue.atoms}
        for centre in (ALPHA_CENTRE, SIDE_CHAIN_CENTRES.get(residue.name)):
            if centre and named.keys() >= set(centre):
                centres.append([named[name] for name in centre])
    return np.array(centres, dtype=int).reshape(-1, 4)


def _corner_angles(xyz: np.ndarray, triples: np.ndarray) -> np.ndarray:
    first, second = (xyz[:, triples[:, k]] - xyz[:, triples[:, 1]] for k in (0, 2))
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
