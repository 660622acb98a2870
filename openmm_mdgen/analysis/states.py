"""Slow coordinates and metastable states of a reference trajectory, after Jing et al. 2024.

Torsions (cosines and sines) to TICA, its projection to clusters by k-means, clusters to a Markov model, that to
metastable states by PCCA+, and their labels to a coarse Markov model. Axes: ``n_frames``, ``n_tica`` dimensions,
``n_clusters``, ``n_states``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.markov import MarkovModel, estimate_markov_model
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import UndefinedError

if TYPE_CHECKING:
    from deeptime.clustering import KMeansModel
    from deeptime.decomposition import TransferOperatorModel

LAGTIME = 100.0  # ps
N_CLUSTERS, N_STATES = 100, 10
SEED = 137
_KINETIC_VARIANCE = 0.95
_BLOCK = 50_000  # frames, in double precision at a time


@dataclass(frozen=True, eq=False)
class TicaModel:
    """The slow coordinates of a reference."""

    model: TransferOperatorModel
    lagtime: float  # ps

    @property
    def n_tica(self) -> int:
        return self.model.output_dimension

    def project(self, series: TorsionSeries) -> np.ndarray:
        """The slow coordinates of each frame as a kinetic map, slowest first, (n_frames, n_tica) float32."""
        features = series.features()
        blocks = range(0, len(features), _BLOCK)
        parts = [self.model.transform(features[k : k + _BLOCK].astype(float)).astype(np.float32) for k in blocks]
        return np.concatenate(parts)


def fit_tica(reference: TorsionSeries, *, lagtime: float, definitions: Definitions) -> TicaModel:
    """Fit TICA to the cosines and sines of the torsions.

    Parameters
    ----------
    reference : TorsionSeries
    lagtime : float
        In ps.
    definitions : Definitions

    Returns
    -------
    TicaModel

    Raises
    ------
    UndefinedError
        If the lag time is no whole number of frames or longer than the trajectory, or no torsion moves.
    """
    from deeptime.decomposition import TICA

    lag = reference.frames_in(lagtime)
    longest = max(reference.lengths)
    if longest - lag < 2:
        raise UndefinedError(f"{longest} frames are too few for a lag time of {lag} frames ({lagtime:g} ps)")
    if not reference.names:
        raise UndefinedError("there is no torsion that all trajectories have")
    features = reference.features()
    if np.ptp(features, axis=0).max() < 1e-6:
        raise UndefinedError("no torsion moves")
    covariance = TICA.covariance_estimator(lagtime=lag, ncov=5)
    for run in reference.split(features):
        for start in range(0, len(run) - lag, _BLOCK):
            stop = min(start + _BLOCK, len(run) - lag)
            covariance.partial_fit((run[start:stop].astype(float), run[start + lag : stop + lag].astype(float)))
    covariances = covariance.fetch_model()
    model = TICA(lagtime=lag, var_cutoff=_KINETIC_VARIANCE).fit_from_covariances(covariances).fetch_model()
    if definitions is Definitions.SOUND and model.output_dimension < 2:
        model = TICA(lagtime=lag, dim=2).fit_from_covariances(covariances).fetch_model()
    return TicaModel(model, lagtime)


@dataclass(frozen=True, eq=False)
class StateModel:
    """Metastable states of a reference, and how any trajectory is sorted into them."""

    clusters: KMeansModel
    state_of_cluster: np.ndarray  # (n_clusters,) int
    pcca_stationary: np.ndarray  # (n_states,)
    coarse: MarkovModel  # of the labels
    labels: np.ndarray  # (n_frames,) of the reference

    @property
    def n_states(self) -> int:
        return self.coarse.n_states

    def label(self, projection: np.ndarray) -> np.ndarray:
        """The state of each frame, (n_frames, n_tica) to (n_frames,) int."""
        return self.state_of_cluster[self.clusters.transform(projection)]


def fit_states(
    projection: np.ndarray,
    lag_frames: int,
    *,
    runs: Sequence[int] = (),
    n_clusters: int = N_CLUSTERS,
    n_states: int = N_STATES,
    seed: int = SEED,
    definitions: Definitions,
) -> StateModel:
    """Find the metastable states of a reference.

    Parameters
    ----------
    projection : (n_frames, n_tica)
        The reference on its slow coordinates.
    lag_frames : int
        Lag time of the Markov models.
    runs : sequence of int
        Numbers of frames of the trajectories that the reference consists of. Default: it is one.
    n_clusters, n_states : int
    seed : int
        Seed of k-means.
    definitions : Definitions

    Returns
    -------
    StateModel

    Raises
    ------
    UndefinedError
        If there are too few frames or connected clusters for the numbers asked for.
    """
    from deeptime.clustering import KMeans
    from deeptime.markov import pcca

    distinct = len(np.unique(projection[: 100 * n_clusters], axis=0))
    if distinct < n_clusters:
        raise UndefinedError(f"{distinct} distinct frames cannot be sorted into {n_clusters} clusters")
    clusters = KMeans(
        n_clusters, max_iter=100, tolerance=1e-5, init_strategy="kmeans++", fixed_seed=seed, n_jobs=1
    ).fit_fetch(projection)
    ends = np.cumsum(runs)[:-1].astype(int)  # of trajectories but the last
    fine = estimate_markov_model(np.split(clusters.transform(projection), ends), lag_frames, n_clusters)
    n_active = len(fine.active)
    if definitions is Definitions.PUBLISHED and n_active < n_clusters:
        raise UndefinedError(
            f"only {n_active} of {n_clusters} clusters are left and entered again within the reference: take a longer "
            "reference, fewer clusters or the sound definitions"
        )
    if n_active <= n_states:
        raise UndefinedError(f"{n_active} connected clusters cannot be joined into {n_states} states")
    try:
        lumped = pcca(fine.transition, n_states, fine.stationary)
    except (ValueError, AssertionError, np.linalg.LinAlgError) as error:  # what its numerics raise
        raise UndefinedError(f"PCCA+ finds no {n_states} states: {error}") from error
    centers = clusters.cluster_centers
    nearest = ((centers[:, None] - centers[None, fine.active]) ** 2).sum(-1).argmin(axis=1)  # itself where active
    state_of_cluster = lumped.assignments[nearest]
    labels = state_of_cluster[clusters.transform(projection)]
    coarse = estimate_markov_model(np.split(labels, ends), lag_frames, n_states)
    return StateModel(clusters, state_of_cluster, lumped.coarse_grained_stationary_probability, coarse, labels)
