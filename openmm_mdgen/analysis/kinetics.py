"""Autocorrelation functions and relaxation times of torsions and slow coordinates.

Times in picosecond; lags in frames; a curve starts at lag 0 unless said otherwise. Axes: ``n`` frames, ``n_lags``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError

Runs: TypeAlias = np.ndarray | Sequence[np.ndarray]  # one trajectory, (n,), or several of any lengths

LONGEST = 10_000.0  # ps, the longest lag of the published decorrelation curves
UPSAMPLING_LONGEST = 100.0  # ps, likewise for upsampled trajectories


@dataclass(frozen=True, eq=False)
class Curve:
    """An autocorrelation function against time."""

    times: np.ndarray  # (n_lags,) ps
    values: np.ndarray  # (n_lags,)

    def thinned(self, n: int = 120) -> Curve:
        """The same curve at no more than `n` lags, which lie closer together where they are short."""
        last = len(self.times) - 1
        kept = np.unique(np.r_[0, np.geomspace(1, max(last, 1), n - 1).round().astype(int)])
        kept = kept[kept <= last]
        return Curve(self.times[kept], self.values[kept])


def autocovariance(series: Runs, n_lags: int) -> np.ndarray:
    """``sum_t x_t x_(t+k) / (n - k)`` for ``k`` from 0 to ``n_lags - 1``, (n,) to (n_lags,); no mean is subtracted.

    Of several trajectories, the sums and the numbers of pairs are added up.
    """
    runs = _as_runs(series)
    lags = np.arange(n_lags)
    sums = np.sum([_lagged_sums(run, n_lags) for run in runs], axis=0)
    return sums / np.sum([np.maximum(len(run) - lags, 0) for run in runs], axis=0)


def circular_autocorrelation(angles: Runs, n_lags: int) -> np.ndarray:
    """The mean cosine of the angle turned in ``k`` frames, (n,) radian to (n_lags,); it is 1 at lag 0."""
    runs = [run.astype(float) for run in _as_runs(angles)]
    sines, cosines = [np.sin(run) for run in runs], [np.cos(run) for run in runs]
    return autocovariance(sines, n_lags) + autocovariance(cosines, n_lags)


def torsion_decorrelation(angles: Runs, n_lags: int) -> np.ndarray:
    """The circular autocorrelation, rescaled so that it falls from 1 to about 0, (n,) radian to (n_lags,).

    Its baseline, which uncorrelated angles of the same distribution would have, is subtracted.

    Raises
    ------
    UndefinedError
        If the torsion does not move.
    """
    every = np.concatenate(_as_runs(angles)).astype(float)
    baseline = np.sin(every).mean() ** 2 + np.cos(every).mean() ** 2
    if 1 - baseline < 1e-9:
        raise UndefinedError("the torsion does not move")
    return (circular_autocorrelation(angles, n_lags) - baseline) / (1 - baseline)


def decorrelation_curve(series: TorsionSeries, name: str, *, longest: float = LONGEST) -> Curve:
    """The rescaled autocorrelation function of one torsion.

    Parameters
    ----------
    series : TorsionSeries
    name : str
        The torsion's.
    longest : float
        Longest lag, ps; it is never longer than half of the trajectory.

    Returns
    -------
    Curve

    Raises
    ------
    UndefinedError
        If the frame interval is not known, or the torsion does not move.
    """
    n_lags = _n_lags(series, longest)
    return Curve(np.arange(n_lags) * series.known_interval(), torsion_decorrelation(series.split(series[name]), n_lags))


def coordinate_decorrelation(
    values: Runs, frame_interval: float | NotDefined, *, mean_free: bool, longest: float = LONGEST
) -> Curve:
    """The autocovariance of a coordinate such as TICA-0, divided by its value at lag 0.

    Parameters
    ----------
    values : (n,), or a sequence of such arrays
        The coordinate in each frame; one array a trajectory.
    frame_interval : float or NotDefined
        In ps.
    mean_free : bool
        Whether the trajectory's own mean is subtracted; in published results it is not.
    longest : float
        Longest lag, ps; it is never longer than half of the trajectory.

    Returns
    -------
    Curve

    Raises
    ------
    UndefinedError
        If the frame interval is not known, or the coordinate does not move.
    """
    runs = [run.astype(float) for run in _as_runs(values)]
    every = np.concatenate(runs)
    series = TorsionSeries((), every[:, None], frame_interval, tuple(len(run) for run in runs))
    n_lags = _n_lags(series, longest)
    if np.ptp(every) < 1e-9:
        raise UndefinedError("the coordinate does not move")
    covariance = autocovariance([run - every.mean() for run in runs] if mean_free else runs, n_lags)
    return Curve(np.arange(n_lags) * series.known_interval(), covariance / covariance[0])


def relaxation_time(curve: Curve) -> float:
    """The time in ps at which the curve first falls below 1/e, interpolated linearly between frames.

    Raises
    ------
    UndefinedError
        If it does not.
    """
    below = np.flatnonzero(curve.values < np.exp(-1))
    if len(below) == 0:
        raise UndefinedError(f"correlated above 1/e for the {curve.times[-1]:g} ps that can be seen")
    k = below[0]
    fall = (curve.values[k - 1] - np.exp(-1)) / (curve.values[k - 1] - curve.values[k])
    return float(curve.times[k - 1] + fall * (curve.times[k] - curve.times[k - 1]))


def upsampling_curve(series: TorsionSeries, name: str, *, longest: float = UPSAMPLING_LONGEST) -> Curve:
    """The circular autocorrelation of one torsion from lag 1, as published for upsampled trajectories.

    No baseline is subtracted.

    Parameters
    ----------
    series : TorsionSeries
    name : str
        The torsion's.
    longest : float
        Longest lag, ps; it is never longer than half of the trajectory.

    Returns
    -------
    Curve

    Raises
    ------
    UndefinedError
        If the frame interval is not known.
    """
    n_lags = _n_lags(series, longest)
    values = circular_autocorrelation(series.split(series[name]), n_lags)
    return Curve(np.arange(1, n_lags) * series.known_interval(), values[1:])


def curve_difference(first: Curve, second: Curve) -> float:
    """The mean absolute difference over those times of `second` that both curves cover; `first` is interpolated.

    Raises
    ------
    UndefinedError
        If they share no time.
    """
    shared = (second.times >= first.times[0] - 1e-9) & (second.times <= first.times[-1] + 1e-9)
    if not shared.any():
        raise UndefinedError("the curves share no time")
    return float(np.abs(np.interp(second.times[shared], first.times, first.values) - second.values[shared]).mean())


def _n_lags(series: TorsionSeries, longest: float) -> int:
    interval = series.known_interval()
    n_frames = max(series.lengths)
    n_lags = min(round(longest / interval), n_frames // 2) + 1
    if n_lags < 2:
        raise UndefinedError(f"{n_frames} frames of {interval:g} ps show no change in time")
    return n_lags


def _as_runs(series: Runs) -> list[np.ndarray]:
    return [series] if isinstance(series, np.ndarray) else list(series)


def _lagged_sums(run: np.ndarray, n_lags: int) -> np.ndarray:
    """``sum_t x_t x_(t+k)``, (n,) to (n_lags,)."""
    size = 1 << (len(run) + n_lags - 1).bit_length()  # long enough that the two ends of the series do not overlap
    transform = np.fft.rfft(run.astype(float), size)
    return np.fft.irfft(np.abs(transform) ** 2, size)[:n_lags]
