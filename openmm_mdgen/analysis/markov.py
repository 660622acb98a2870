"""Markov models of labelled trajectories, and the flux between states.

Axes: ``n_states`` all states there are; ``n_active`` those in the largest set whose members reach each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import pearsonr, spearmanr

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.undefined import UndefinedError

_LEAST_FLUX = 1e-7  # below, two states count as not connected


@dataclass(frozen=True, eq=False)
class MarkovModel:
    """A Markov model, estimated by maximum likelihood under detailed balance."""

    n_states: int
    active: np.ndarray  # (n_active,) int, labels in rising order
    transition: np.ndarray  # (n_active, n_active), rows sum to 1
    stationary: np.ndarray  # (n_active,), sums to 1

    def full_transition(self) -> np.ndarray:
        """The transition matrix of all states, (n_states, n_states): the identity outside of the active set."""
        full = np.eye(self.n_states)
        full[np.ix_(self.active, self.active)] = self.transition
        return full

    def full_stationary(self) -> np.ndarray:
        """The stationary distribution over all states, (n_states,): zero outside of the active set."""
        full = np.zeros(self.n_states)
        full[self.active] = self.stationary
        return full


def estimate_markov_model(labels: np.ndarray | Sequence[np.ndarray], lag_frames: int, n_states: int) -> MarkovModel:
    """Estimate a Markov model; transitions are counted at every frame.

    Parameters
    ----------
    labels : (n_frames,) int, or a sequence of such arrays
        The state of each frame, below `n_states`; one array a trajectory.
    lag_frames : int
    n_states : int

    Returns
    -------
    MarkovModel

    Raises
    ------
    UndefinedError
        If no trajectory is longer than the lag time, or no state is left and entered again.
    """
    from deeptime.markov import TransitionCountEstimator
    from deeptime.markov.msm import MaximumLikelihoodMSM

    trajectories = [labels] if isinstance(labels, np.ndarray) else labels
    n_frames = max(map(len, trajectories))
    if n_frames <= lag_frames:
        raise UndefinedError(f"{n_frames} frames are not more than the lag time of {lag_frames} frames")
    long_enough = [np.ascontiguousarray(t, dtype=np.int32) for t in trajectories if len(t) > lag_frames]
    counter = TransitionCountEstimator(lagtime=lag_frames, count_mode="sliding", n_states=n_states)
    counts = counter.fit_fetch(long_enough)
    counts = counts.submodel_largest(connectivity_threshold=1 / n_states)
    if counts.count_matrix.sum() == 0:
        raise UndefinedError(f"no state is left and entered again in {n_frames} frames: the trajectory is too short")
    try:
        model = MaximumLikelihoodMSM(reversible=True, maxerr=1e-8).fit_fetch(counts)
    except RuntimeError as error:  # counts so uneven that its iteration does not settle
        raise UndefinedError(f"no reversible Markov model fits the transitions between the states: {error}") from error
    order = np.argsort(counts.state_symbols)
    return MarkovModel(
        n_states,
        np.asarray(counts.state_symbols)[order],
        model.transition_matrix[np.ix_(order, order)],
        model.stationary_distribution[order],
    )


def flux_matrix(transition: np.ndarray, stationary: np.ndarray, *, definitions: Definitions) -> np.ndarray:
    """The flux from row to column.

    Parameters
    ----------
    transition : (n, n)
    stationary : (n,)
    definitions : Definitions
        As published, each entry is weighted by the population arrived at; else, by the population left.

    Returns
    -------
    (n, n) float
    """
    if definitions is Definitions.PUBLISHED:
        return transition * stationary[None, :]
    return transition * stationary[:, None]


def rarest_transition(flux: np.ndarray) -> tuple[int, int]:
    """The start and end of the smallest flux that is not zero: the published ends of a transition path.

    Raises
    ------
    UndefinedError
        If no two states are connected.
    """
    connected = np.where(flux < _LEAST_FLUX, np.inf, flux)
    if not np.isfinite(connected).any():
        raise UndefinedError("no two states are connected")
    return _entry(connected.argmin(), flux)


def busiest_transition(flux: np.ndarray) -> tuple[int, int]:
    """The start and end of the largest flux between two states: the published ends of a designed transition."""
    between = flux - np.diag(np.diag(flux))
    if not (between > 0).any():
        raise UndefinedError("no two states are connected")
    return _entry(between.argmax(), flux)


@dataclass(frozen=True)
class FluxCorrelation:
    """Correlations of two sets of fluxes over all ordered pairs of different states."""

    spearman: float
    pearson: float


def flux_correlation(generated: MarkovModel, reference: MarkovModel) -> FluxCorrelation:
    """The correlation of the fluxes ``pi_i P_ij``, which are zero where a trajectory has no such transition.

    Raises
    ------
    UndefinedError
        If there are fewer than three states, or one trajectory's fluxes are all equal.
    """
    if reference.n_states < 3:
        raise UndefinedError("fewer than three states have no fluxes to correlate")
    between = ~np.eye(reference.n_states, dtype=bool)
    fluxes = [
        flux_matrix(m.full_transition(), m.full_stationary(), definitions=Definitions.SOUND)[between]
        for m in (generated, reference)
    ]
    for whose, flux in zip(("the generated trajectory", "the reference"), fluxes, strict=True):
        if np.ptp(flux) == 0:
            raise UndefinedError(f"{whose} goes between no two states")
    return FluxCorrelation(float(spearmanr(*fluxes).statistic), float(pearsonr(*fluxes).statistic))


def state_frequencies(labels: np.ndarray, n_states: int) -> np.ndarray:
    """The share of each state, labels of any shape to (n_states,)."""
    return np.bincount(np.ravel(labels), minlength=n_states) / np.size(labels)


def _entry(index: np.integer, matrix: np.ndarray) -> tuple[int, int]:
    start, end = np.unravel_index(index, matrix.shape)
    return int(start), int(end)
