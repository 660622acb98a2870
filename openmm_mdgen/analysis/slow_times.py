"""How fast the slowest coordinates of a reference relax, there and in a generated trajectory, with intervals.

The time is that of the autocorrelation of a coordinate at a lag time ``k``: ``-k / log(r(k))`` with Pearson's
correlation ``r(k)`` of the coordinate now and ``k`` later, which is the relaxation time of a coordinate that decays
exponentially, and a lower bound otherwise (Noé and Nüske 2013, the variational principle). Intervals come from a
bootstrap over blocks of the trajectories. Times in picosecond; lags in frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt, known

N_BLOCKS, N_BOOTSTRAP = 20, 200
CONFIDENCE = 0.95
N_SLOW, N_TORSIONS = 2, 3  # slow coordinates and torsions that are told
_FEWEST_PAIRS = 10  # in a block


def _rounded(time: float) -> str:
    """Three digits, in plain numbers."""
    return f"{float(f'{time:.3g}'):,g}" if abs(time) < 1000 else f"{float(f'{time:.3g}'):,.0f}"


@dataclass(frozen=True)
class Timescale:
    """A relaxation time in ps; not defined where frames a lag time apart are not correlated, or all alike."""

    time: float | NotDefined
    low: float  # the interval holds 95 % of the bootstrap; 0 where that is not correlated
    high: float  # infinite where it does not decay

    def __str__(self) -> str:
        if isinstance(self.time, NotDefined) and not self.high:
            return "none"
        time = "none" if isinstance(self.time, NotDefined) else f"{_rounded(self.time)} ps"
        return f"{time} ({_rounded(self.low)} to {_rounded(self.high)} ps)"


@dataclass(frozen=True)
class SlowTime:
    """Of one coordinate, on both sides."""

    generated: Timescale | NotDefined
    reference: Timescale | NotDefined


def timescale(runs: Sequence[np.ndarray], lag: int, lagtime: float, *, seed: int = 0) -> Timescale:
    """The relaxation time of a coordinate.

    Parameters
    ----------
    runs : sequence of (n_frames,) or (n_frames, d)
        The coordinate in each trajectory; of vectors, such as cosine and sine of a torsion, the correlations are
        weighted by their variances.
    lag : int
        Frames.
    lagtime : float
        The same in ps.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Timescale

    Raises
    ------
    UndefinedError
        If the trajectories are too short for the lag time, or the coordinate does not move.
    """
    moments = _moments(runs, lag)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(moments), np.full(len(moments), 1 / len(moments)), size=N_BOOTSTRAP)
    whole = _correlation(moments.sum(axis=0))
    if whole is None:
        raise UndefinedError("the coordinate does not move")
    found = [_correlation(np.tensordot(weights, moments, 1)) for weights in drawn]
    times = np.array([_time(r, lagtime) for r in found if r is not None])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(times, [tail, 1 - tail], method="nearest")
    if not 0 < whole < 1:
        why = "frames a lag time apart are not correlated" if whole <= 0 else "it does not decay"
        return Timescale(NotDefined(why), float(low), float(high))
    return Timescale(_time(whole, lagtime), float(low), float(high))


def slow_times(ours: Coordinates, theirs: Coordinates, lagtime: float) -> dict[str, SlowTime]:
    """Relaxation times of the reference's two slowest coordinates, and of its slowest torsions.

    Parameters
    ----------
    ours, theirs : Coordinates
        The generated side and the reference.
    lagtime : float
        In ps.

    Returns
    -------
    dict of str to SlowTime
        By name; slow coordinates first, then torsions, the slowest of the reference first.
    """

    def both(chosen: Callable[[Coordinates], list[np.ndarray]]) -> SlowTime:
        def of(side: Coordinates) -> Timescale:
            return timescale(chosen(side), side.series.frames_in(lagtime), lagtime)

        return SlowTime(attempt(of, ours), attempt(of, theirs))

    n_slow = 0 if isinstance(theirs.slow, NotDefined) else min(N_SLOW, theirs.slow.shape[1])
    times = {f"TICA-{k}": both(partial(Coordinates.coordinate, k=k)) for k in range(n_slow)}
    torsions = {name: both(partial(Coordinates.torsion, name=name)) for name in theirs.series.names}
    slowest = sorted(torsions, key=lambda name: -_known(torsions[name].reference))[:N_TORSIONS]
    return times | {name: torsions[name] for name in slowest}


@dataclass(frozen=True, eq=False)
class Coordinates:
    """One side: torsions of its trajectories, and the reference's slow coordinates of them."""

    series: TorsionSeries
    slow: np.ndarray | NotDefined  # (n_frames, n_tica)

    def coordinate(self, k: int) -> list[np.ndarray]:
        """One slow coordinate in each trajectory."""
        return self.series.split(known(self.slow)[:, k])

    def torsion(self, name: str) -> list[np.ndarray]:
        """Cosine and sine of a torsion in each trajectory, (n_frames, 2)."""
        angles = self.series[name].astype(float)
        return self.series.split(np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _known(found: Timescale | NotDefined) -> float:
    """A time to sort by: what is not defined comes last."""
    return found.time if isinstance(found, Timescale) and isinstance(found.time, float) else 0.0


def _moments(runs: Sequence[np.ndarray], lag: int) -> np.ndarray:
    """(n_blocks, 6, d): of pairs of frames a lag apart, their number and the sums of x, y, xx, yy and xy."""
    long_enough = [run.reshape(len(run), -1).astype(float) for run in runs if len(run) > lag]
    n_pairs = sum(len(run) - lag for run in long_enough)
    if n_pairs < N_BLOCKS * _FEWEST_PAIRS:
        raise UndefinedError(f"{max(map(len, runs))} frames are too few for a lag time of {lag} frames")
    length = max(_FEWEST_PAIRS, n_pairs // N_BLOCKS)
    blocks = []
    for run in long_enough:
        x, y = run[:-lag], run[lag:]
        for part in np.array_split(np.arange(len(x)), max(1, round(len(x) / length))):
            a, b = x[part], y[part]
            sums = [a.sum(0), b.sum(0), (a * a).sum(0), (b * b).sum(0), (a * b).sum(0)]
            blocks.append(np.stack([np.full(a.shape[1], float(len(part))), *sums]))
    return np.array(blocks)


def _correlation(sums: np.ndarray) -> float | None:
    """Pearson's, of (6, d) sums; None where nothing moves."""
    n, x, y, xx, yy, xy = sums
    covariance = (xy / n - x / n * y / n).sum()
    variances = (xx / n - (x / n) ** 2).sum(), (yy / n - (y / n) ** 2).sum()
    return None if min(variances) < 1e-12 else float(covariance / np.sqrt(np.prod(variances)))


def _time(correlation: float, lagtime: float) -> float:
    if correlation <= 0:
        return 0.0
    return float("inf") if correlation >= 1 else float(-lagtime / np.log(correlation))
