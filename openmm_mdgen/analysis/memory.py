"""How long torsions remember where they were: the mean cosine of the angle turned since. Times in picosecond.

It is the circular autocorrelation, of all frames against those a time before, in the mean over torsions: 1 for what
stands still. What was forgotten comes to the value that the distributions of the torsions alone have, not to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt

TIMES = (10.0, 100.0, 490.0)  # ps; the last is the length of a segment of the bundled weights


@dataclass(frozen=True)
class Memory:
    """Mean cosines after one time, on both sides."""

    generated: float | NotDefined
    reference: float | NotDefined


def memories(generated: TorsionSeries, reference: TorsionSeries) -> dict[str, Memory]:
    """What both sides remember after each of `TIMES`, by the time in words."""
    return {
        f"{time:g} ps": Memory(*(attempt(mean_cosine, side, time) for side in (generated, reference))) for time in TIMES
    }


def mean_cosine(series: TorsionSeries, time: float) -> float:
    """Of the angles that torsions turn in a time.

    Raises
    ------
    UndefinedError
        If no trajectory is longer, it is no whole number of frames, or there is no torsion.
    """
    lag = series.frames_in(time)
    if not series.names:
        raise UndefinedError("there is no torsion that all trajectories have")
    turned = [run[lag:] - run[:-lag] for run in series.split(series.angles) if len(run) > lag]
    if not turned:
        raise UndefinedError(f"no trajectory is longer than {time:g} ps")
    return float(np.cos(np.concatenate(turned).astype(float)).mean())
