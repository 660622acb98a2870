"""Whether simulations still drift away from their starts: populations in their first and in their last fifth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openmm_mdgen.analysis.torsions import TorsionSeries

_SHARE = 5  # of each run, at either end
_SIGNIFICANT = 3.0  # standard errors
_CHI1 = ("g+", "t", "g-")  # around 60, 180 and -60 degrees
_BASINS = ("helical", "extended", "left-handed")


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
    for kind, wells, labelled in (("chi1", _CHI1, _rotamers), ("phi/psi", _BASINS, _basins)):
        ends = []
        for run in runs:
            labels, n = labelled(run), run.n_frames // _SHARE
            if labels.shape[1] and n:
                ends.append([_populations(labels[:n]), _populations(labels[-n:])])
        if not ends:
            continue
        first, last = np.moveaxis(np.array(ends), 1, 0)
        error = np.full(3, np.nan)
        if len(ends) > 1:
            error = (last - first).std(axis=0, ddof=1) / np.sqrt(len(ends))
        found.append(Drift(kind, wells, first.mean(axis=0), last.mean(axis=0), error))
    return found


def _populations(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels.ravel(), minlength=3) / labels.size


def _rotamers(run: TorsionSeries) -> np.ndarray:
    """(n_frames, n_residues) of 0, 1 or 2: g+, t, g-."""
    chosen = [k for k, name in enumerate(run.names) if name.startswith("CHI1 ") and " PRO " not in name]
    return (run.angles[:, chosen] % (2 * np.pi) // (2 * np.pi / 3)).astype(int).clip(0, 2)


def _basins(run: TorsionSeries) -> np.ndarray:
    """(n_frames, n_residues) of 0, 1 or 2: helical, extended, left-handed."""
    column = {name: k for k, name in enumerate(run.names)}
    residues = [name[4:] for name in run.names if name.startswith("PHI ") and f"PSI {name[4:]}" in column]
    phi = run.angles[:, [column[f"PHI {residue}"] for residue in residues]]
    psi = np.degrees(run.angles[:, [column[f"PSI {residue}"] for residue in residues]])
    return np.where(phi >= 0, 2, np.where((psi > -120) & (psi < 50), 0, 1))
