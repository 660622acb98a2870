"""Whether a chain holds together, by two measures that are in use for generated proteins. Lengths in nanometre.

*Loose*: neighbouring C-alpha atoms are at most 0.45 nm apart, C and N of a peptide bond at most 0.2 nm, and no two
heavy atoms of different residues are within 0.1 nm of each other unless they are bonded. *Strict*: neighbouring C-alpha
atoms are 0.38 nm apart to within 0.02 nm; pairs about a cis peptide bond, which are 0.29 nm apart, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import mdtraj
import numpy as np
from scipy.spatial import cKDTree

from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.geometry.bonds import lengths

LOOSE_ALPHA, LOOSE_LINK, OVERLAP = 0.45, 0.2, 0.1
STRICT_ALPHA, STRICT_SLACK = 0.38, 0.02
CIS = np.radians(30)  # of omega, which is 0 where the bond is planar


@dataclass(frozen=True, eq=False)
class ChainChecks:
    """The pairs of atoms that are looked at, as they are numbered in the topology."""

    links: np.ndarray  # (n_links, 2): C and N of peptide bonds
    alphas: np.ndarray  # (n_pairs, 2): C-alpha atoms of linked residues
    omegas: np.ndarray  # (n_omegas, 4): CA, C, N, CA
    of_omega: np.ndarray  # (n_omegas,): which of `alphas` it belongs to
    heavy: np.ndarray  # (n_heavy,)
    residues: np.ndarray  # (n_heavy,): a number for each residue
    bonded: np.ndarray  # codes of pairs of `heavy` that are bonded, as `_codes` has them

    @classmethod
    def of(cls, layout: Layout) -> ChainChecks:
        """Find them.

        Parameters
        ----------
        layout : Layout

        Returns
        -------
        ChainChecks
        """
        at = layout.by_place()
        alphas: list[tuple[int, int]] = []
        omegas: list[tuple[int, int, int, int]] = []
        of_omega: list[int] = []
        for a, b in layout.links:
            if a not in at or b not in at or "CA" not in at[a].atoms or "CA" not in at[b].atoms:
                continue
            if "C" in at[a].atoms and "N" in at[b].atoms:
                omegas.append((at[a].atoms["CA"], at[a].atoms["C"], at[b].atoms["N"], at[b].atoms["CA"]))
                of_omega.append(len(alphas))
            alphas.append((at[a].atoms["CA"], at[b].atoms["CA"]))
        known = {atom: k for k, residue in enumerate(layout.residues) for atom in residue.atoms.values()}
        number = {atom: k for k, atom in enumerate(layout.heavy)}
        pairs = [sorted((number[a], number[b])) for a, b in layout.bonds if a in number and b in number]
        return cls(
            np.array(layout.link_atoms(), dtype=int).reshape(-1, 2),
            np.array(alphas, dtype=int).reshape(-1, 2),
            np.array(omegas, dtype=int).reshape(-1, 4),
            np.array(of_omega, dtype=int),
            np.array(layout.heavy, dtype=int),
            np.array([known.get(atom, -1 - k) for k, atom in enumerate(layout.heavy)]),
            _codes(np.array(pairs, dtype=int).reshape(-1, 2), len(number)),
        )

    def loose(self, xyz: np.ndarray) -> np.ndarray:
        """(n_frames, n_atoms, 3) nm to (n_frames,) bool."""
        together = (lengths(xyz, self.alphas) <= LOOSE_ALPHA).all(axis=1)
        together &= (lengths(xyz, self.links) <= LOOSE_LINK).all(axis=1)
        return together & np.array([not self._overlaps(frame) for frame in xyz[:, self.heavy]], dtype=bool)

    def strict(self, xyz: np.ndarray) -> np.ndarray:
        """(n_frames, n_atoms, 3) nm to (n_frames,) bool."""
        right = np.abs(lengths(xyz, self.alphas) - STRICT_ALPHA) <= STRICT_SLACK
        right[:, self.of_omega] |= self.cis(xyz)
        return np.asarray(right.all(axis=1))

    def cis(self, xyz: np.ndarray) -> np.ndarray:
        """(n_frames, n_atoms, 3) nm to (n_frames, n_omegas) bool: which peptide bonds are cis."""
        if not len(self.omegas):
            return np.zeros((len(xyz), 0), dtype=bool)
        omegas = mdtraj.compute_dihedrals(mdtraj.Trajectory(xyz, None), self.omegas, periodic=False)
        return np.asarray(np.abs(omegas) < CIS)

    def _overlaps(self, frame: np.ndarray) -> bool:
        close = cKDTree(frame).query_pairs(OVERLAP, output_type="ndarray")
        apart = self.residues[close[:, 0]] != self.residues[close[:, 1]]
        return bool((apart & ~np.isin(_codes(close, len(frame)), self.bonded)).any())


def _codes(pairs: np.ndarray, n: int) -> np.ndarray:
    """One number for each pair (first below second) of `n` atoms."""
    return pairs[:, 0] * n + pairs[:, 1]
