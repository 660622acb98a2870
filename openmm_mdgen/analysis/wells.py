"""Wells of torsions: rotamers of side chains and basins of the backbone, and how frames are shared among them.

A torsion about a bond of two tetrahedral atoms has three wells, g+, t and g- around 60, 180 and -60 degrees. A residue
with phi and psi has three basins: helical, extended and, with positive phi, left-handed. Axes: ``n_frames``,
``n_places`` torsions or residues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries, ramachandran_pairs
from openmm_mdgen.molecule import names as residue_names

ROTAMERS = ("g+", "t", "g-")
BASINS = ("helical", "extended", "left-handed")
N_WELLS = 3
# Bonds of two tetrahedral atoms beyond the first of the side chain; proline's ring has puckers instead.
_TETRAHEDRAL = {
    "CHI2": {"ARG", "LYS", "GLN", "GLU", "MET", "ILE", "LEU"},
    "CHI3": {"ARG", "LYS", "MET"},
    "CHI4": {"LYS"},
}


@dataclass(frozen=True, eq=False)
class Wells:
    """Which well each torsion or residue is in, frame by frame."""

    names: tuple[str, ...]  # (n_places,) of torsions, or of phi and psi of a residue as "PHI ...|PSI ..."
    labels: np.ndarray  # (n_frames, n_places) of 0, 1 or 2

    def populations(self) -> np.ndarray:
        """(n_places, 3) shares of the frames."""
        return np.stack([(self.labels == well).mean(axis=0) for well in range(N_WELLS)], axis=1)


def rotamers(series: TorsionSeries, *, kinds: tuple[str, ...] = ("CHI1", "CHI2", "CHI3", "CHI4")) -> Wells:
    """Rotamers of each torsion about a bond of two tetrahedral atoms, proline apart."""
    names = tuple(name for name in series.names if name.split()[0] in kinds and _has_rotamers(name))
    angles = series.angles[:, [series.names.index(name) for name in names]]
    return Wells(names, (angles % (2 * np.pi) // (2 * np.pi / 3)).astype(int).clip(0, 2))


def basins(series: TorsionSeries) -> Wells:
    """The basin of each residue with phi and psi."""
    pairs = ramachandran_pairs(series.names)
    phi = series.angles[:, [series.names.index(phi) for phi, _ in pairs]]
    psi = np.degrees(series.angles[:, [series.names.index(psi) for _, psi in pairs]])
    labels = np.where(phi >= 0, 2, np.where((psi > -120) & (psi < 50), 0, 1))
    return Wells(tuple("|".join(pair) for pair in pairs), labels)


def _has_rotamers(name: str) -> bool:
    kind, _, residue, _ = name.split()
    parent = residue_names.parent(residue)
    return parent != "PRO" and (kind == "CHI1" or parent in _TETRAHEDRAL[kind])
