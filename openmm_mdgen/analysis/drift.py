"""Whether simulations still drift away from their starts: populations in their first and in their last fifth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.wells import BASINS, N_WELLS, ROTAMERS, Wells, basins, rotamers

_SHARE = 5  # of each run, at either end
_SIGNIFICANT = 3.0  # standard errors


@dataclass(frozen=True, eq=False)
class Drift:
    """Populations of the wells of one kind of torsion, averaged over residues and runs.

    Parameters
    ----------
    kind : str
        ``"chi1"`` or ``"phi/psi"``.
    wells : tuple of str
        Their names.
    first, last : (n_wells,)
        Populations in the first and in the last fifth of each run.
    error : (n_wells,)
        Standard error over runs of their difference; NaN for a single run.
    """

    kind: str
    wells: tuple[str, ...]
    first: np.ndarray
    last: np.ndarray
    error: np.ndarray

    @property
    def is_significant(self) -> bool:
        """Whether a population changes by more than three standard errors; never for a single run."""
        return bool((np.abs(self.last - self.first) > _SIGNIFICANT * self.error).any())

    def __str__(self) -> str:
        def told(values: np.ndarray) -> str:
            return "/".join(f"{value:.2f}" for value in values)

        spread = "" if np.isnan(self.error).any() else f" (standard error of the change {self.error.max():.2f})"
        return (
            f"{self.kind} {'/'.join(self.wells)}: {told(self.first)} in the first fifth of the runs, {told(self.last)} "
            f"in the last{spread}"
        )


def drifts(runs: Sequence[TorsionSeries]) -> list[Drift]:
    """Compare the first fifth of each run with its last.

    Parameters
    ----------
    runs : sequence of TorsionSeries
        Of one molecule or of many.

    Returns
    -------
    list of Drift
        Of chi1, proline apart, and of phi with psi, as far as the molecules have them. Runs of fewer than five frames
        are left out.
    """
    found = []
    for kind, wells, sorted_into in (("chi1", ROTAMERS, _chi1), ("phi/psi", BASINS, basins)):
        ends = []
        for run in runs:
            labels, n = sorted_into(run).labels, run.n_frames // _SHARE
            if labels.shape[1] and n:
                ends.append([_populations(labels[:n]), _populations(labels[-n:])])
        if not ends:
            continue
        first, last = np.moveaxis(np.array(ends), 1, 0)
        error = np.full(N_WELLS, np.nan)
        if len(ends) > 1:
            error = (last - first).std(axis=0, ddof=1) / np.sqrt(len(ends))
        found.append(Drift(kind, wells, first.mean(axis=0), last.mean(axis=0), error))
    return found


def _populations(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels.ravel(), minlength=N_WELLS) / labels.size


def _chi1(run: TorsionSeries) -> Wells:
    return rotamers(run, kinds=("CHI1",))
