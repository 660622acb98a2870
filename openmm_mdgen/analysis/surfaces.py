"""Free-energy surfaces, ``-ln p`` in units of kT, of two coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.distances import FULL_TURN, N_BINS_2D, joint_angle_histogram


@dataclass(frozen=True, eq=False)
class Surface:
    """Free energies of both trajectories on one grid: 0 in the fullest bin of each, ``inf`` where one has no frame."""

    names: tuple[str, str]
    x_edges: np.ndarray  # (n_x + 1,)
    y_edges: np.ndarray  # (n_y + 1,)
    generated: np.ndarray  # (n_x, n_y), kT
    reference: np.ndarray  # (n_x, n_y), kT


def torsion_surface(
    names: tuple[str, str],
    generated: tuple[np.ndarray, np.ndarray],
    reference: tuple[np.ndarray, np.ndarray],
) -> Surface:
    """The surface of two torsions over the full circle.

    Parameters
    ----------
    names : (str, str)
    generated, reference : pair of (n_frames,)
        The two angles, radian.

    Returns
    -------
    Surface
    """
    edges = np.linspace(*FULL_TURN, N_BINS_2D + 1)
    counts = [joint_angle_histogram(*angles) for angles in (generated, reference)]
    return Surface(names, edges, edges, *(free_energy(c) for c in counts))


def coordinate_surface(names: tuple[str, str], generated: np.ndarray, reference: np.ndarray) -> Surface:
    """The surface of two coordinates over the range that both trajectories span.

    Parameters
    ----------
    names : (str, str)
    generated, reference : (n_frames, 2)

    Returns
    -------
    Surface
    """
    both = np.concatenate([generated, reference]).astype(float)
    edges = [np.histogram_bin_edges(column, bins=N_BINS_2D) for column in both.T]
    counts = [np.histogramdd(sample.astype(float), bins=edges)[0] for sample in (generated, reference)]
    return Surface(names, *edges, *(free_energy(c) for c in counts))


def free_energy(counts: np.ndarray) -> np.ndarray:
    """Free energies above that of the fullest bin in kT, of the same shape; ``inf`` in empty bins."""
    with np.errstate(divide="ignore"):
        return np.log(counts.max()) - np.log(counts)
