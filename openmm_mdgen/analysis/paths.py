"""Transition paths between two states, scored by the reference's Markov model.

A path is a row of states a lag time apart, ``(n_paths, length)``. Its law is that of a Markov chain ``P`` that starts
where the path does and is known to be in ``end`` at its last position: a step ``i -> j`` with ``m`` steps left after
it has probability ``P_ij (P^m)_j,end / (P^(m+1))_i,end`` (0 where that is 0/0), a path the product of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.distances import js_distance
from openmm_mdgen.analysis.markov import MarkovModel, estimate_markov_model, state_frequencies
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError

N_REFERENCE = 1000  # paths that stand for the reference


@dataclass(frozen=True)
class PathScores:
    """How well an ensemble of paths agrees with the reference."""

    jsd: float | NotDefined  # of the states visited, against the reference's paths
    valid_rate: float  # share of paths that are possible
    mean_probability: float
    mean_valid_probability: float | NotDefined  # of the possible ones


def bridge_transitions(transition: np.ndarray, end: int, n_steps: int) -> np.ndarray:
    """The probabilities of each step of a path that ends in `end`.

    Parameters
    ----------
    transition : (n, n)
        Transition matrix of the Markov chain.
    end : int
        State after the last step.
    n_steps : int

    Returns
    -------
    (n_steps, n, n) float
        Rows sum to 1, or are 0 where `end` can no longer be reached.
    """
    reach = [np.eye(len(transition))[:, end]]  # of getting to the end in 0, 1, ... steps
    for _ in range(n_steps):
        reach.append(transition @ reach[-1])
    steps = []
    for left in range(n_steps - 1, -1, -1):
        ways = transition * reach[left][None, :]
        norm = reach[left + 1][:, None]
        steps.append(np.divide(ways, norm, out=np.zeros_like(ways), where=norm > 0))
    return np.stack(steps)


def step_probabilities(paths: np.ndarray, transition: np.ndarray, end: int) -> np.ndarray:
    """The probability of each step of given paths.

    Parameters
    ----------
    paths : (n_paths, length) int
    transition : (n, n)
    end : int
        State in which paths are known to end.

    Returns
    -------
    (n_paths, length - 1) float
    """
    bridge = bridge_transitions(transition, end, paths.shape[1] - 1)
    return bridge[np.arange(paths.shape[1] - 1), paths[:, :-1], paths[:, 1:]]


def bridge_marginals(transition: np.ndarray, start: int, end: int, length: int) -> np.ndarray:
    """The distribution of the state at each position of a path from `start` to `end`.

    Parameters
    ----------
    transition : (n, n)
    start, end : int
    length : int
        Number of states in a path.

    Returns
    -------
    (length, n) float
    """
    rows = [np.eye(len(transition))[start]]
    for step in bridge_transitions(transition, end, length - 1):
        rows.append(rows[-1] @ step)
    return np.stack(rows)


def sample_bridges(
    transition: np.ndarray, start: int, end: int, *, length: int, n_paths: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw paths from `start` to `end`.

    Parameters
    ----------
    transition : (n, n)
    start, end : int
    length : int
        Number of states in a path.
    n_paths : int
    rng : numpy.random.Generator

    Returns
    -------
    (n_paths, length) int

    Raises
    ------
    UndefinedError
        If `end` cannot be reached.
    """
    bridge = bridge_transitions(transition, end, length - 1)
    if not bridge[0, start].any():
        raise UndefinedError(f"state {end} cannot be reached from state {start} in {length - 1} steps")
    paths = np.full((n_paths, length), start)
    for k, step in enumerate(bridge):
        ladder = step.cumsum(axis=1)[paths[:, k]]
        drawn = rng.random(n_paths) * ladder[:, -1]
        paths[:, k + 1] = (drawn[:, None] >= ladder).sum(axis=1)
    return paths


def coarse_paths(labels: np.ndarray, stride: int) -> np.ndarray:
    """Take every `stride`-th frame and the last one, (n_paths, n_frames) to (n_paths, length)."""
    kept = np.arange(0, labels.shape[1], stride)
    if kept[-1] != labels.shape[1] - 1:
        kept = np.r_[kept, labels.shape[1] - 1]
    return labels[:, kept]


def score_paths(
    paths: np.ndarray,
    coarse: MarkovModel,
    endpoints: tuple[int, int],
    *,
    rng: np.random.Generator,
    definitions: Definitions,
    n_reference: int = N_REFERENCE,
) -> PathScores:
    """Compare generated paths with the reference's.

    Parameters
    ----------
    paths : (n_paths, length) int
        Labels of states, a lag time of `coarse` apart.
    coarse : MarkovModel
        That of the reference.
    endpoints : (start, end)
        As published, indices of active states; else labels.
    rng : numpy.random.Generator
        It draws the reference's paths, `n_reference` of them.

    Raises
    ------
    UndefinedError
        If an end is not among the active states, or cannot be reached.
    """
    if paths.ndim != 2 or paths.shape[0] == 0 or paths.shape[1] < 2:
        raise UndefinedError(f"paths of shape {paths.shape}: at least one path of two states is needed")
    published = definitions is Definitions.PUBLISHED
    if published:
        start, end = endpoints
        if max(endpoints) >= len(coarse.active):
            raise UndefinedError(f"end states {endpoints} are not among the {len(coarse.active)} connected states")
    else:
        start, end = (_index(coarse, state) for state in endpoints)
    length = paths.shape[1]
    reference = sample_bridges(coarse.transition, start, end, length=length, n_paths=n_reference, rng=rng)
    index = np.full(coarse.n_states, -1)
    index[coarse.active] = np.arange(len(coarse.active))
    if published:
        index[index < 0] = coarse.stationary.argmax()
        end = index[paths[0, -1]]
    else:
        reference = coarse.active[reference]
    states = index[paths]
    probabilities = step_probabilities(states, coarse.transition, end).prod(axis=1)
    if not published:
        probabilities[(states < 0).any(axis=1) | (states[:, 0] != start)] = 0
    ours, theirs = (state_frequencies(p, coarse.n_states) for p in (paths, reference))
    return _scores(probabilities, float(js_distance(ours, theirs)))


def score_replicate(
    labels: np.ndarray,
    lag_frames: int,
    coarse: MarkovModel,
    endpoints: tuple[int, int],
    *,
    length: int,
    rng: np.random.Generator,
    definitions: Definitions,
) -> PathScores:
    """Score real MD: paths are drawn from a Markov model of its labels, and scored like generated ones.

    Parameters
    ----------
    labels : (n_frames,) int
        State of each frame.
    lag_frames : int
    coarse : MarkovModel
        That of the reference.
    endpoints : (start, end)
        As in `score_paths`.
    length : int
        Number of states in a path.
    rng : numpy.random.Generator
    definitions : Definitions

    Notes
    -----
    MD that has not seen both ends has no path. As published it scores 0, 0 and a distance of 1 (above the largest that
    exists, 0.83); by the sound definitions its distance is not defined.
    """
    labels_of_ends = coarse.active[list(endpoints)] if definitions is Definitions.PUBLISHED else endpoints
    try:
        own = estimate_markov_model(labels, lag_frames, coarse.n_states)
        start, end = (_index(own, int(state)) for state in labels_of_ends)
        paths = sample_bridges(own.transition, start, end, length=length, n_paths=N_REFERENCE, rng=rng)
    except UndefinedError as error:
        why = NotDefined(str(error))
        return PathScores(1.0 if definitions is Definitions.PUBLISHED else why, 0.0, 0.0, why)
    return score_paths(own.active[paths], coarse, endpoints, rng=rng, definitions=definitions)


def _index(model: MarkovModel, state: int) -> int:
    """Where a label stands among the active states."""
    found = np.flatnonzero(model.active == state)
    if len(found) == 0:
        raise UndefinedError(f"state {state} is never left and entered again")
    return int(found[0])


def _scores(probabilities: np.ndarray, jsd: float) -> PathScores:
    valid = probabilities[probabilities > 0]
    return PathScores(
        jsd,
        float((probabilities > 0).mean()),
        float(probabilities.mean()),
        float(valid.mean()) if len(valid) else NotDefined("no path is possible"),
    )
