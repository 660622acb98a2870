"""What trajectories without side chains, or of C-alpha atoms alone, have besides phi and psi.

Omega of each peptide bond; distances, angles and dihedrals of C-alpha atoms of residues that follow each other. Each is
counted in 100 bins. Lengths in nanometre, angles in radian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import mdtraj
import numpy as np

from openmm_mdgen.analysis.distances import FULL_TURN, N_BINS, angle_histogram
from openmm_mdgen.analysis.layout import Layout, Residue

Counts = Mapping[str, Mapping[str, np.ndarray]]  # by kind and residue, (100,) int

_ALPHA_RANGE = (0.25, 0.45)  # nm; shorter and longer distances are counted in the outer bins
KINDS: dict[str, Callable[[mdtraj.Trajectory, np.ndarray], np.ndarray]] = {
    "omega": lambda piece, atoms: mdtraj.compute_dihedrals(piece, atoms, periodic=False),
    "ca_distances": lambda piece, atoms: mdtraj.compute_distances(piece, atoms, periodic=False),
    "ca_angles": lambda piece, atoms: mdtraj.compute_angles(piece, atoms, periodic=False),
    "ca_dihedrals": lambda piece, atoms: mdtraj.compute_dihedrals(piece, atoms, periodic=False),
}


class CoarseCounter:
    """Counts over pieces of a trajectory of one layout."""

    def __init__(self, layout: Layout) -> None:
        self._atoms = coarse_atoms(layout)
        self._counts = {kind: {name: np.zeros(N_BINS, int) for name in named} for kind, named in self._atoms.items()}

    def add(self, piece: mdtraj.Trajectory) -> None:
        """Count all frames of a piece."""
        for kind, named in self._atoms.items():
            if named:
                values = KINDS[kind](piece, np.array(list(named.values())))
                for name, column in zip(named, values.T, strict=True):
                    self._counts[kind][name] += _histogram(kind, column)

    def result(self) -> Counts:
        """Counts by kind and residue."""
        return self._counts


def coarse_atoms(layout: Layout) -> dict[str, dict[str, tuple[int, ...]]]:
    """Atoms that define each quantity, by kind and label: omega's is the residue of its N, the others' their first."""
    _, after = layout.neighbours()
    found: dict[str, dict[str, tuple[int, ...]]] = {kind: {} for kind in KINDS}
    for residue in layout.residues:
        following = after.get(residue.place)
        if following is not None:
            bond = (_alpha(residue), residue.atoms.get("C"), following.atoms.get("N"), _alpha(following))
            _add(found["omega"], following.label, bond)
        run = [residue]
        while len(run) < 4 and (next_one := after.get(run[-1].place)) is not None:
            run.append(next_one)
        alphas = [r.atoms.get("CA") for r in run]
        for n, kind in ((2, "ca_distances"), (3, "ca_angles"), (4, "ca_dihedrals")):
            if len(alphas) >= n:
                _add(found[kind], residue.label, alphas[:n])
    return found


def _alpha(residue: Residue) -> int | None:
    """The atom in the place of C-alpha; a cap's is its methyl carbon."""
    return residue.atoms.get("CH3" if residue.is_cap else "CA")


def _add(named: dict[str, tuple[int, ...]], label: str, atoms: Sequence[int | None]) -> None:
    there = tuple(atom for atom in atoms if atom is not None)
    if len(there) == len(atoms):
        named[label] = there


def _histogram(kind: str, values: np.ndarray) -> np.ndarray:
    if kind in ("omega", "ca_dihedrals"):
        return angle_histogram(values)
    low, high = _ALPHA_RANGE if kind == "ca_distances" else (0.0, FULL_TURN[1])
    return np.histogram(np.clip(values.astype(float), low, high), bins=N_BINS, range=(low, high))[0]
