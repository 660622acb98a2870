"""Populations and timescales from many short pieces of real MD, by a Markov model of them.

A *piece* is one short run. Pieces start where they were put, so their frames are not distributed as in equilibrium; a
Markov model of how they move on from there is not biased by that. Each frame gets a weight, the stationary probability
of its *microstate* (a cluster of frames) shared among the frames in it; averages with these weights are those of
equilibrium. Errors come from a bootstrap over pieces: with a few dozen pieces, its 95 % intervals hold the truth about
nine times in ten.

Axes: ``P`` pieces, ``m`` microstates, ``B`` bootstrap samples. Times are in picosecond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis import UndefinedError
from openmm_mdgen.analysis.markov import estimate_markov_model
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.arguments import positive, require, valid_count
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.seeds import valid_library_seed

_KINETIC_VARIANCE = 0.95  # share of it that the kept TICA components hold
_TRIES = 5  # bootstrap samples that may be drawn for each that is wanted


@dataclass(frozen=True)
class Estimate:
    """A value, with the bounds between which 95 % of its bootstrap samples lie."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True, eq=False)
class Markov:
    """One Markov model."""

    stationary: np.ndarray  # (m,), 0 outside of the largest set of microstates that reach each other
    timescales: np.ndarray  # ps, slowest first


@dataclass(frozen=True, eq=False)
class Kinetics:
    """A Markov model of pieces, with models of bootstrap samples of the pieces for its errors.

    Examples
    --------
    >>> kinetics = Kinetics.of(pieces, lagtime=20.0)
    >>> kinetics.population(lambda piece: piece["PSI 0 ALA 2"] > 0)
    """

    pieces: Sequence[TorsionSeries]
    lagtime: float
    labels: list[np.ndarray]  # P of (n_frames,) int, microstates
    model: Markov
    samples: list[Markov]  # B
    drawn: np.ndarray  # (B, P) how often each piece is in a sample

    @classmethod
    def of(
        cls,
        pieces: Sequence[TorsionSeries],
        *,
        lagtime: float,
        n_microstates: int = 50,
        n_bootstrap: int = 100,
        seed: int = 0,
    ) -> Kinetics:
        """Estimate a reversible Markov model of k-means clusters of the torsions' TICA components (deeptime).

        Parameters
        ----------
        pieces : sequence of TorsionSeries
            Pieces of one molecule with one frame interval.
        lagtime : float or quantity
            Lag time, shorter than the pieces; plain numbers are in ps.
        n_microstates : int
        n_bootstrap : int
            Number of bootstrap samples.
        seed : int
            Seed of clusters and bootstrap samples.

        Returns
        -------
        Kinetics

        Raises
        ------
        UndefinedError
            If no piece is longer than the lag time, too few microstates are left and entered again, or the pieces are
            samples without an order in time.
        MDGenError
            If there is no piece, pieces are of other torsions or intervals, or a number makes no sense.
        """
        lagtime = positive("lagtime", lagtime, "picosecond")
        n_microstates = valid_count("n_microstates", n_microstates, least=2)
        n_bootstrap, seed = valid_count("n_bootstrap", n_bootstrap), valid_library_seed(seed)
        require("pieces", pieces, len(pieces) > 0, "at least one piece")
        for piece in pieces:
            require("one of the pieces", piece, isinstance(piece, TorsionSeries), "a TorsionSeries")
        TorsionSeries.joined(pieces)  # which refuses those that differ
        lag = pieces[0].frames_in(lagtime)
        if max(piece.n_frames for piece in pieces) <= lag + 1:
            raise UndefinedError(f"no piece is longer than the lag time of {lagtime:g} ps: run longer pieces")
        projected = _slow_coordinates([piece.features().astype(float) for piece in pieces], lag)
        labels = _clustered(projected, n_microstates, seed)
        n = 1 + max(int(row.max()) for row in labels)
        model = _estimate(labels, lag, n, lagtime)
        rng = np.random.default_rng(seed)
        samples: list[Markov] = []
        drawn = []
        for _ in range(_TRIES * n_bootstrap):
            chosen = rng.integers(len(labels), size=len(labels))
            try:
                samples.append(_estimate([labels[k] for k in chosen], lag, n, lagtime))
            except UndefinedError:
                continue  # pieces of a sample may visit no microstate in common
            drawn.append(np.bincount(chosen, minlength=len(labels)))
            if len(samples) == n_bootstrap:
                break
        else:
            raise UndefinedError(
                f"{len(samples)} of {_TRIES * n_bootstrap} bootstrap samples of the pieces are connected by common "
                "microstates: run more pieces, or longer ones"
            )
        return cls(pieces, lagtime, labels, model, samples, np.array(drawn))

    @property
    def timescales(self) -> list[Estimate]:
        """Relaxation times in ps, slowest first: those that most bootstrap samples have, at most five."""
        n = min(int(np.median([len(s.timescales) for s in self.samples])), len(self.model.timescales), 5)
        rows = [[s.timescales[k] for s in self.samples if len(s.timescales) > k] for k in range(n)]
        return [_estimate_of(self.model.timescales[k], row) for k, row in enumerate(rows)]

    @property
    def weights(self) -> list[np.ndarray]:
        """Weights of the frames of each piece, P arrays of (n_frames,), which sum to 1."""
        return _frame_weights(self.labels, self.model.stationary, np.ones(len(self.labels)))

    def average(self, observable: Callable[[TorsionSeries], np.ndarray]) -> Estimate:
        """The mean in equilibrium of a function of frames.

        Parameters
        ----------
        observable : callable
            Takes a piece, a `TorsionSeries`, and returns values (n_frames,). Where they are true or false, the mean is
            a population.

        Returns
        -------
        Estimate
        """
        values = self._values(observable)

        def mean(model: Markov, drawn: np.ndarray) -> float:
            weights = _frame_weights(self.labels, model.stationary, drawn)
            return float(sum((w * v).sum() for w, v in zip(weights, values, strict=True)))

        every = np.ones(len(self.labels))
        found = [mean(sample, drawn) for sample, drawn in zip(self.samples, self.drawn, strict=True)]
        return _estimate_of(mean(self.model, every), found)

    population = average

    def raw(self, observable: Callable[[TorsionSeries], np.ndarray]) -> float:
        """The mean over the frames as they are, which is biased by where pieces were started."""
        return float(np.concatenate(self._values(observable)).mean())

    def _values(self, observable: Callable[[TorsionSeries], np.ndarray]) -> list[np.ndarray]:
        """What an observable says of each piece; `MDGenError` unless it is a finite number a frame."""
        require("observable", observable, callable(observable), "a function of a TorsionSeries")
        values = [np.asarray(observable(piece), dtype=float) for piece in self.pieces]
        for piece, of_piece in zip(self.pieces, values, strict=True):
            if of_piece.shape != (piece.n_frames,) or not np.isfinite(of_piece).all():
                raise MDGenError(
                    f"the observable gives values of shape {of_piece.shape}, or not finite, for {piece.n_frames} "
                    "frames: return one finite number a frame"
                )
        return values

    @property
    def unconnected(self) -> float:
        """Share of the frames that lie in microstates outside of the largest connected set."""
        labels = np.concatenate(self.labels)
        return float((self.model.stationary[labels] == 0).mean())

    @property
    def need(self) -> np.ndarray:
        """How much each microstate adds to the errors, (m,) summing to 1.

        It is the standard deviation of the microstate's population among the bootstrap samples. Microstates that are
        not connected to the others need more than any other, since nothing is known of their population.
        """
        deviation = np.std([sample.stationary for sample in self.samples], axis=0)
        visited = np.bincount(np.concatenate(self.labels), minlength=len(deviation)) > 0
        deviation[(self.model.stationary == 0) & visited] = deviation.max() or 1.0
        if deviation.max() < 1e-12:  # all samples are alike, as those of a single piece are
            deviation = visited.astype(float)
        return deviation / deviation.sum()


def _slow_coordinates(features: list[np.ndarray], lag: int) -> list[np.ndarray]:
    from deeptime.decomposition import TICA

    covariance = TICA.covariance_estimator(lagtime=lag)
    for piece in features:
        if len(piece) > lag + 1:
            covariance.partial_fit((piece[:-lag], piece[lag:]))
    tica = TICA(lagtime=lag, var_cutoff=_KINETIC_VARIANCE).fit_from_covariances(covariance.fetch_model()).fetch_model()
    return [tica.transform(piece) for piece in features]


def _clustered(projected: list[np.ndarray], n: int, seed: int) -> list[np.ndarray]:
    from deeptime.clustering import KMeans

    frames = np.concatenate(projected)
    clusters = KMeans(
        min(n, len(np.unique(frames, axis=0))),
        max_iter=100,
        tolerance=1e-4,
        init_strategy="kmeans++",
        fixed_seed=seed,
        n_jobs=1,
    ).fit_fetch(frames)
    return [clusters.transform(piece) for piece in projected]


def _estimate(labels: list[np.ndarray], lag: int, n: int, lagtime: float) -> Markov:
    model = estimate_markov_model(labels, lag, n)
    if len(model.active) < 2:
        raise UndefinedError("no microstate is left and entered again: run longer pieces, or more of them")
    rates = np.sort(np.abs(np.linalg.eigvals(model.transition)))[::-1][1:]
    rates = rates[(rates > 1e-6) & (rates < 1 - 1e-12)]
    return Markov(model.full_stationary(), -lagtime / np.log(rates))


def _frame_weights(labels: list[np.ndarray], stationary: np.ndarray, drawn: np.ndarray) -> list[np.ndarray]:
    """Share stationary probabilities among the frames of the pieces, each counted as often as it was drawn."""
    counts = sum(times * np.bincount(row, minlength=len(stationary)) for row, times in zip(labels, drawn, strict=True))
    share = np.divide(stationary, counts, out=np.zeros_like(stationary), where=counts > 0)
    return [times * share[row] for row, times in zip(labels, drawn, strict=True)]


def _estimate_of(value: float, samples: Sequence[float]) -> Estimate:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))
