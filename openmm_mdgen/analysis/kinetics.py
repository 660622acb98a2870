"""How fast torsions and slow coordinates forget: autocorrelations and relaxation times.

Times in picosecond; lags in frames; a curve starts at lag 0 unless said otherwise.
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
    """An autocorrelation against time."""

    times: np.ndarray  # (n_lags,) ps
    values: np.ndarray  # (n_lags,)

    def thinned(self, n: int = 120) -> Curve:
        """At most `n` lags, closer together where they are short."""
        last = len(self.times) - 1
        kept = np.unique(np.r_[0, np.geomspace(1, max(last, 1), n - 1).round().astype(int)])
        kept = kept[kept <= last]
        return Curve(self.times[kept], self.values[kept])


def autocovariance(series: np.ndarray, n_lags: int) -> np.ndarray:
    """``sum_t x_t x_(t+k) / (n - k)`` for ``k`` from 0 to ``n_lags - 1``: not mean-free. (n,) to (n_lags,)."""
    n = len(series)
    size = 1 << (n + n_lags - 1).bit_length()  # long enough that the ends do not meet
    transform = np.fft.rfft(series.astype(float), size)
    return np.fft.irfft(np.abs(transform) ** 2, size)[:n_lags] / (n - np.arange(n_lags))


def circular_autocorrelation(angles: np.ndarray, n_lags: int) -> np.ndarray:
    """Mean cosine of the angle turned in ``k`` frames: 1 at lag 0. (n,) radian to (n_lags,)."""
    angles = angles.astype(float)
    return autocovariance(np.sin(angles), n_lags) + autocovariance(np.cos(angles), n_lags)


def torsion_decorrelation(angles: np.ndarray, n_lags: int) -> np.ndarray:
    """From 1 to about 0: the circular autocorrelation less its value for a torsion that has forgotten all.

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
    """Decorrelation of one torsion, to lags of `longest` ps or half of the trajectory.

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
    """Autocovariance of a coordinate such as TICA-0, ``(n,)``, divided by its value at lag 0.

    Parameters
    ----------
    mean_free : bool
        Whether about the trajectory's own mean, or about zero as published.

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
    """When the curve first falls below 1/e, ps, between frames by a straight line.

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
    """Circular autocorrelation of one torsion from lag 1, as published for upsampled trajectories: no baseline.

    Raises
    ------
    UndefinedError
        If the frame interval is not known.
    """
    n_lags = _n_lags(series, longest)
    values = circular_autocorrelation(series[name], n_lags)
    return Curve(np.arange(1, n_lags) * series.known_interval(), values[1:])


def curve_difference(first: Curve, second: Curve) -> float:
    """Mean absolute difference over the times of `second` that both cover, `first` read between its points.

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
