"""Drift between the ends of runs, against populations that were planted."""

import numpy as np
import pytest

from openmm_mdgen.analysis.drift import drifts
from openmm_mdgen.analysis.torsions import TorsionSeries

NAMES = ("PHI 0 VAL 2", "PSI 0 VAL 2", "PSI 0 ALA 1", "CHI1 0 VAL 2", "CHI1 0 PRO 3")


def run(first, last, *, n=100, seed=0):
    """A run whose phi, psi and chi1 stand at `first` in its first half and at `last` in its second, in degrees."""
    noise = np.random.default_rng(seed).normal(0, 5, (n, len(NAMES)))
    degrees = np.where(np.arange(n)[:, None] < n / 2, [first], [last]) + noise
    angles = (np.radians(degrees) + np.pi) % (2 * np.pi) - np.pi
    return TorsionSeries(NAMES, angles.astype(np.float32), 1.0)


HELIX, SHEET, LEFT = (-60, -40, 0), (-120, 140, 0), (60, 40, 0)


def test_populations_of_both_ends_are_counted():
    rotamers, basins = drifts([run((*HELIX, -60, 30), (*SHEET, 180, 30)), run((*LEFT, 60, 30), (*SHEET, 180, 30))])
    assert (rotamers.kind, rotamers.wells) == ("chi1", ("g+", "t", "g-"))  # proline's apart
    np.testing.assert_allclose(rotamers.first, [0.5, 0, 0.5])
    np.testing.assert_allclose(rotamers.last, [0, 1, 0])
    np.testing.assert_allclose(basins.first, [0.5, 0, 0.5])
    np.testing.assert_allclose(basins.last, [0, 1, 0])
    # Of two runs whose changes are -1 and 0 the mean has a standard error of 0.5.
    np.testing.assert_allclose(rotamers.error, [0.5, 0, 0.5])
    assert rotamers.is_significant and "0.50/0.00/0.50 in the first fifth of the runs" in str(rotamers)


@pytest.mark.parametrize("moved", [False, True])
def test_a_drift_is_told_where_it_is_beyond_chance(moved):
    rng = np.random.default_rng(1)
    wells = (60, 180, -60)

    def drawn(shares):
        return wells[rng.choice(3, p=shares)]

    runs = [
        run((*SHEET, drawn([0.1, 0.2, 0.7] if moved else [0.3] * 2 + [0.4]), 30), (*SHEET, drawn([0.3, 0.3, 0.4]), 30))
        for _ in range(400)
    ]
    rotamers, basins = drifts(runs)
    assert rotamers.is_significant == moved and not basins.is_significant
    assert rotamers.error.max() < 0.05


def test_a_single_run_has_no_error_and_short_ones_are_left_out():
    (rotamers, _) = drifts([run((*HELIX, 60, 0), (*HELIX, 60, 0)), run((*HELIX, 60, 0), (*HELIX, 60, 0), n=4)])
    assert np.isnan(rotamers.error).all() and not rotamers.is_significant and "standard error" not in str(rotamers)
    assert drifts([run((*HELIX, 60, 0), (*HELIX, 60, 0), n=4)]) == []
