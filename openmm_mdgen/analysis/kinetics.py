"""Autocorrelation functions and relaxation times of torsions and slow coordinates.

Times in picosecond; lags in frames; a curve starts at lag 0 unless said otherwise. Axes: ``n`` frames, ``n_lags``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError

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


def autocovariance(series: np.ndarray, n_lags: int) -> np.ndarray:
    """``sum_t x_t x_(t+k) / (n - k)`` for ``k`` from 0 to ``n_lags - 1``, (n,) to (n_lags,); no mean is subtracted."""
    n = len(series)
    size = 1 << (n + n_lags - 1).bit_length()  # long enough that the two ends of the series do not overlap
    transform = np.fft.rfft(series.astype(float), size)
    return np.fft.irfft(np.abs(transform) ** 2, size)[:n_lags] / (n - np.arange(n_lags))


def circular_autocorrelation(angles: np.ndarray, n_lags: int) -> np.ndarray:
    """The mean cosine of the angle turned in ``k`` frames, (n,) radian to (n_lags,); it is 1 at lag 0."""
    angles = angles.astype(float)
    return autocovariance(np.sin(angles), n_lags) + autocovariance(np.cos(angles), n_lags)


def torsion_decorrelation(angles: np.ndarray, n_lags: int) -> np.ndarray:
    """The circular autocorrelation, rescaled so that it falls from 1 to about 0, (n,) radian to (n_lags,).

    Its baseline, which uncorrelated angles of the same distribution would have, is subtracted.

    Raises
    ------
    UndefinedError
        If the torsion does not move.
    """
    angles = angles.astype(float)
    baseline = np.sin(angles).mean() ** 2 + np.cos(angles).mean() ** 2
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
    return Curve(np.arange(n_lags) * series.known_interval(), torsion_decorrelation(series[name], n_lags))


def coordinate_decorrelation(
    values: np.ndarray, frame_interval: float | NotDefined, *, mean_free: bool, longest: float = LONGEST
) -> Curve:
    """The autocovariance of a coordinate such as TICA-0, divided by its value at lag 0.

    Parameters
    ----------
    values : (n,)
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
    series = TorsionSeries((), values[:, None], frame_interval)
    n_lags = _n_lags(series, longest)
    values = values.astype(float)
    if np.ptp(values) < 1e-9:
        raise UndefinedError("the coordinate does not move")
    covariance = autocovariance(values - values.mean() if mean_free else values, n_lags)
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
    values = circular_autocorrelation(series[name], n_lags)
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
    n_lags = min(round(longest / interval), series.n_frames // 2) + 1
    if n_lags < 2:
        raise UndefinedError(f"{series.n_frames} frames of {interval:g} ps show no change in time")
    return n_lags
