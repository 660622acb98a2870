"""Whole numbers of frames and steps, and even spacing in time. Every place that counts in time asks here."""

from __future__ import annotations

import math

import numpy as np

STATED = 1e-6  # relative tolerance of times that a user or a model states: 1 ps in a microsecond
RECORDED = 1e-3  # of times that were read from files, which hold them rounded
_JITTER = 0.01  # of the interval that a frame's time may be off


def whole_number(time: float, interval: float, *, tolerance: float = STATED) -> int | None:
    """How many intervals make up a time.

    Parameters
    ----------
    time, interval : float
        In one unit, such as ps.
    tolerance : float
        Relative to `time`: `STATED` or `RECORDED`.

    Returns
    -------
    int or None
        At least 1; None where `time` is no whole number of intervals.
    """
    if not (interval > 0 and math.isfinite(time) and math.isfinite(interval)):
        return None
    number = round(time / interval)
    return number if number >= 1 and math.isclose(number * interval, time, rel_tol=tolerance) else None


def nearest_multiples(time: float, interval: float) -> list[float]:
    """The one or two positive multiples of an interval that are nearest to a time, for messages."""
    below = max(0, math.floor(time / interval))
    return [number * interval for number in (below, below + 1) if number > 0]


def even_interval(times: np.ndarray) -> float | None:
    """The interval of evenly spaced times.

    Files hold times in single precision, which for long runs is coarser than a fraction of the interval: so times are
    compared with a line, and may be off by their own rounding besides a hundredth of the interval.

    Parameters
    ----------
    times : (F,) array
        At least two.

    Returns
    -------
    float or None
        In the unit of `times`; None where they are not evenly spaced, not increasing, or not finite.
    """
    times = np.asarray(times, dtype=np.float64)
    interval = (times[-1] - times[0]) / (len(times) - 1)
    off = np.abs(times - times[0] - interval * np.arange(len(times)))
    rounding = 4 * np.spacing(np.float32(np.abs(times).max()))
    return float(interval) if interval > 0 and off.max() <= _JITTER * interval + rounding else None
