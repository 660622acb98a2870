"""Distances of two distributions.

The distance is the square root of the Jensen-Shannon divergence (natural logarithm) of two histograms: 0 for equal
distributions, ``sqrt(log 2) = 0.8326`` for disjoint ones. Published tables call it JSD.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from openmm_mdgen.analysis.undefined import UndefinedError

N_BINS = 100  # of a histogram in one dimension
N_BINS_2D = 50  # along each axis in two
FULL_TURN = (-np.pi, np.pi)


def js_distance(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """The distances of histograms along the last axis, ``(..., n_bins)`` counts or weights of any sum to ``(...,)``.

    Raises
    ------
    UndefinedError
        If a histogram is empty.
    """
    p, q = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    sums = p.sum(axis=-1, keepdims=True), q.sum(axis=-1, keepdims=True)
    if any((s <= 0).any() for s in sums):
        raise UndefinedError("an empty histogram has no distance")
    p, q = p / sums[0], q / sums[1]
    middle = (p + q) / 2
    divergence = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / 2
    return np.sqrt(np.maximum(divergence, 0))  # rounding may leave it below zero


def angle_histogram(angles: ArrayLike) -> np.ndarray:
    """Counts in 100 bins over (-pi, pi), ``(n_frames,)`` radian to ``(100,)`` int."""
    return np.histogram(_on_circle(angles), bins=N_BINS, range=FULL_TURN)[0]


def joint_angle_histogram(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Counts in 50 x 50 bins over (-pi, pi) each, to ``(50, 50)`` float."""
    return np.histogram2d(_on_circle(first), _on_circle(second), bins=N_BINS_2D, range=(FULL_TURN, FULL_TURN))[0]


def angle_distance(first: ArrayLike, second: ArrayLike) -> float:
    """The distance of two samples of one angle, radian, in 100 bins."""
    return float(js_distance(angle_histogram(first), angle_histogram(second)))


def joint_angle_distance(first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike]) -> float:
    """The distance of two samples of a pair of angles, radian, in 50 x 50 bins."""
    return float(js_distance(joint_angle_histogram(*first).ravel(), joint_angle_histogram(*second).ravel()))


def sample_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The distance of two samples ``(n, d)`` over the range that both span, in 100 bins or, for ``d = 2``, 50 x 50."""
    edges = [
        np.histogram_bin_edges(np.concatenate([a, b]).astype(float), bins=N_BINS if first.shape[1] == 1 else N_BINS_2D)
        for a, b in zip(first.T, second.T, strict=True)
    ]
    counts = [np.histogramdd(sample.astype(float), bins=edges)[0].ravel() for sample in (first, second)]
    return float(js_distance(*counts))


def _on_circle(angles: ArrayLike) -> np.ndarray:
    """In double precision; float32's pi lies outside of the range."""
    return np.clip(np.asarray(angles, dtype=float), *FULL_TURN)
