"""Standard errors over several trajectories, by the jackknife (Efron and Tibshirani 1993, chapter 11).

A number is computed anew without each of ``R`` trajectories, and its standard error is
``sqrt((R - 1) / R * sum_r (x_r - mean(x))**2)``. Numbers are nested dictionaries, as JSON has them: the errors have the
same keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from openmm_mdgen.analysis.undefined import NotDefined

Numbers: TypeAlias = "float | NotDefined | dict[str, Numbers]"


def standard_errors(without: Sequence[Numbers]) -> Numbers:
    """The errors of numbers that were computed without one trajectory each.

    Parameters
    ----------
    without : sequence of nested dict
        One a trajectory left out, at least two, all of the same keys.

    Returns
    -------
    nested dict
        Not defined where one of the numbers is not.
    """
    first = without[0]
    if isinstance(first, dict):
        return {key: standard_errors([numbers[key] for numbers in without]) for key in first}  # type: ignore[index]
    undefined = [value for value in without if isinstance(value, NotDefined)]
    if undefined:
        return undefined[0]
    values = np.array(without, dtype=float)
    return float(np.sqrt((len(values) - 1) * values.var()))


def combined(parts: Sequence[Numbers]) -> Numbers:
    """The errors of independent sources together: the root of the sum of their squares."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: combined([numbers[key] for numbers in parts]) for key in first}  # type: ignore[index]
    undefined = [value for value in parts if isinstance(value, NotDefined)]
    return undefined[0] if undefined else float(np.sqrt(np.sum(np.square(np.array(parts, dtype=float)))))
