"""Whether frames are molecules: clashes, chain breaks, chirality, bond lengths and angles.

`chain_checks` and `bond_checks` have more. Lengths in nanometre, angles in degree; heavy atoms only, which are there
whatever program wrote the trajectory, but for `bond_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mdtraj
import numpy as np
from scipy.spatial import cKDTree

from openmm_mdgen.analysis.bond_checks import BondChecks
from openmm_mdgen.analysis.chain_checks import ChainChecks
from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.analysis.undefined import NotDefined, attempt
from openmm_mdgen.geometry.bonds import CLASH, BondGraph, Stereocentres, lengths, mirrored

BREAK = 0.2  # nm, of a peptide bond (0.133 nm)
OPEN = 0.25  # nm, of a disulfide bond (0.205 nm)
ALPHA_BREAK = 0.45  # nm, of neighbouring C-alpha atoms (0.38 nm) where there is nothing else to see a break by
BOND_EDGES = np.linspace(0.10, 0.22, 121)  # nm; shorter and longer ones are counted in the outer bins
ANGLE_EDGES = np.linspace(60, 180, 121)  # degree; likewise
SHARES = {  # of frames, by the names of `Geometry`'s fields
    "valid": "whole molecules",
    "without_clash": "without clash",
    "without_break": "without chain break",
    "right_chirality": "right chirality",
    "loose": "chain holds together, loose measure",
    "strict": "chain holds together, strict measure",
    "with_cis": "with a cis peptide bond",
    "unbroken": "without broken bond, hydrogens too",
    "rings": "rings of proline closed, hydrogens too",
}


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
    loose: float  # the chain holds together; see `chain_checks`
    strict: float
    with_cis: float | NotDefined  # at least one peptide bond is cis, whether in real MD or not
    unbroken: float  # no bond is broken, see `bond_checks`
    rings: float | NotDefined  # those of proline are closed
    bonds: dict[str, Histogram]  # by elements, e.g. "C-N"
    angles: dict[str, Histogram]  # by elements, the middle one at the corner, e.g. "C-N-C"


def merged(parts: Sequence[Geometry]) -> Geometry:
    """The geometry of several trajectories of one layout together."""
    if len(parts) == 1:
        return parts[0]
    weights = np.array([part.n_frames for part in parts], dtype=float)

    def share(name: str) -> float | NotDefined:
        return attempt(lambda *values: float(np.average(values, weights=weights)), *(getattr(p, name) for p in parts))

    def histograms(name: str) -> dict[str, Histogram]:
        of_parts = [getattr(part, name) for part in parts]
        return {key: _together([found[key] for found in of_parts]) for key in of_parts[0]}

    shares: dict[str, Any] = {name: share(name) for name in SHARES}
    n_frames = sum(part.n_frames for part in parts)
    return Geometry(n_frames, **shares, bonds=histograms("bonds"), angles=histograms("angles"))


def _together(parts: Sequence[Histogram]) -> Histogram:
    weights = np.array([part.counts.sum() for part in parts], dtype=float)
    mean = float(np.average([part.mean for part in parts], weights=weights))
    square = np.average([part.deviation**2 + (part.mean - mean) ** 2 for part in parts], weights=weights)
    return Histogram(np.sum([part.counts for part in parts], axis=0), mean, float(np.sqrt(square)))


class GeometryCounter:
    """Counts over pieces of a trajectory of one topology."""

    def __init__(self, topology: mdtraj.Topology, layout: Layout | None = None) -> None:
        layout = layout or Layout.of(topology)
        self._heavy = np.array(layout.heavy)
        number = {atom: k for k, atom in enumerate(layout.heavy)}
        symbols = [topology.atom(k).element.symbol for k in layout.heavy]
        bonds = ((number[i], number[j]) for i, j in layout.bonds if i in number and j in number)
        graph = BondGraph.of(len(symbols), bonds)
        self._near = graph.near()
        self._bonds = _by_element(graph.bonds, symbols)
        self._angles = _by_element(graph.angles(), symbols)
        self._links = _numbered(layout.link_atoms(), number, 2)
        self._bridges = _numbered(layout.bridge_atoms(), number, 2)
        self._alphas = _numbered(layout.alpha_links() if not len(self._links) else [], number, 2)
        centres = Stereocentres.of((residue.name, residue.atoms) for residue in layout.sequence)
        self._centres = _numbered(centres.atoms.tolist(), number, 4)
        self._chain = ChainChecks.of(layout)
        self._bonded = BondChecks.of(topology, layout)
        self._n_frames, self._totals = 0, dict.fromkeys(SHARES, 0)
        self._bond_sums = {name: _Sums(BOND_EDGES) for name in self._bonds}
        self._angle_sums = {name: _Sums(ANGLE_EDGES) for name in self._angles}

    def add(self, xyz: np.ndarray) -> None:
        """(n_frames, n_atoms, 3) nm."""
        held = {
            "loose": self._chain.loose(xyz),
            "strict": self._chain.strict(xyz),
            "with_cis": self._chain.cis(xyz).any(axis=1),
            "unbroken": self._bonded.whole(xyz),
            "rings": self._bonded.rings(xyz),
        }
        xyz = xyz[:, self._heavy]
        clear = np.array([not self._clashes(frame) for frame in xyz])
        whole = (lengths(xyz, self._links) <= BREAK).all(axis=1)
        whole &= (lengths(xyz, self._bridges) <= OPEN).all(axis=1)
        whole &= (lengths(xyz, self._alphas) <= ALPHA_BREAK).all(axis=1)
        chiral = ~mirrored(xyz, self._centres).any(axis=1)
        held |= {"without_clash": clear, "without_break": whole, "right_chirality": chiral}
        held["valid"] = clear & whole & chiral
        self._n_frames += len(xyz)
        for name, frames in held.items():
            self._totals[name] += int(frames.sum())
        for name, index in self._bonds.items():
            self._bond_sums[name].add(lengths(xyz, index))
        for name, index in self._angles.items():
            self._angle_sums[name].add(_corner_angles(xyz, index))

    def result(self) -> Geometry:
        shares: dict[str, Any] = {name: total / self._n_frames for name, total in self._totals.items()}
        if not len(self._chain.omegas):
            shares["with_cis"] = NotDefined("no peptide bond has both of its C-alpha atoms")
        if not len(self._bonded.ring_pairs):
            shares["rings"] = NotDefined("there is no proline with all atoms of its ring")
        return Geometry(
            self._n_frames,
            **shares,
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


def _numbered(tuples: Sequence[tuple[int, ...]], number: dict[int, int], size: int) -> np.ndarray:
    """(n, size): atoms of the topology as heavy atoms are counted here."""
    found = [[number[atom] for atom in members] for members in tuples if all(atom in number for atom in members)]
    return np.array(found, dtype=int).reshape(-1, size)


def _corner_angles(xyz: np.ndarray, triples: np.ndarray) -> np.ndarray:
    first, second = (xyz[:, triples[:, k]] - xyz[:, triples[:, 1]] for k in (0, 2))
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
