"""Autocorrelations against sums over frames, and relaxation times of processes whose rates are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm_mdgen.analysis.kinetics import (
    Curve,
    autocovariance,
    coordinate_decorrelation,
    curve_difference,
    decorrelation_curve,
    relaxation_time,
    torsion_decorrelation,
    upsampling_curve,
)
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError
from torsion_walks import well_angles

NAME = "PSI 0 ALA 1"


def series(angles, interval=1.0):
    return TorsionSeries((NAME,), np.asarray(angles, dtype=np.float32)[:, None], interval)


def slow_covariance(x, k):
    return sum(x[t] * x[t + k] for t in range(len(x) - k)) / (len(x) - k)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**31))
def test_autocovariance_equals_its_sum_at_every_lag(n, seed):
    x = np.random.default_rng(seed).normal(1, 2, n)
    expected = [slow_covariance(x, k) for k in range(n)]
    np.testing.assert_allclose(autocovariance(x, n), expected, atol=1e-10)


def test_torsion_decorrelation_equals_its_published_definition():
    angles = well_angles(400, (-1, 2), (0.05, 0.1), 0)
    s, c = np.sin(angles), np.cos(angles)
    baseline = s.mean() ** 2 + c.mean() ** 2
    expected = [(slow_covariance(s, k) + slow_covariance(c, k) - baseline) / (1 - baseline) for k in range(50)]
    np.testing.assert_allclose(torsion_decorrelation(angles, 50), expected, atol=1e-10)
    assert expected[0] == pytest.approx(1)


def test_relaxation_time_is_that_of_the_jump_process_and_scales_with_the_frame_interval():
    leaving = (0.01, 0.015)
    angles = well_angles(100_000, (-1.5, 1.5), leaving, 3, spread=1e-3)
    exact = -1 / np.log(1 - sum(leaving))  # frames; the second eigenvalue of the chain
    found = relaxation_time(decorrelation_curve(series(angles), NAME, longest=500))
    assert found == pytest.approx(exact, rel=0.1)
    slower = relaxation_time(decorrelation_curve(series(angles, 0.1), NAME, longest=50))
    assert slower == pytest.approx(found / 10, rel=1e-6)


def test_relaxation_time_lies_where_the_curve_crosses():
    assert relaxation_time(Curve(np.array([0.0, 2.0, 4.0]), np.array([1.0, 0.5, 0.1]))) == pytest.approx(
        2 + 2 * (0.5 - np.exp(-1)) / 0.4
    )
    with pytest.raises(UndefinedError, match="correlated above 1/e for the 4 ps"):
        relaxation_time(Curve(np.array([0.0, 2.0, 4.0]), np.array([1.0, 0.9, 0.8])))


def test_a_coordinate_decorrelates_about_zero_as_published_or_about_its_mean():
    x = np.random.default_rng(0).normal(3, 1, 2000)
    published = coordinate_decorrelation(x, 1.0, mean_free=False)
    sound = coordinate_decorrelation(x, 1.0, mean_free=True)
    assert published.values[1:50].mean() == pytest.approx(0.9, abs=0.02)
    assert sound.values[1:50].mean() == pytest.approx(0, abs=0.02)
    assert published.values[0] == sound.values[0] == 1


def test_what_does_not_move_or_has_no_time_has_no_decorrelation():
    with pytest.raises(UndefinedError, match="does not move"):
        decorrelation_curve(series(np.full(50, 0.3)), NAME)
    with pytest.raises(UndefinedError, match="does not move"):
        coordinate_decorrelation(np.ones(50), 1.0, mean_free=False)
    with pytest.raises(UndefinedError, match="no times"):
        decorrelation_curve(series(np.arange(50) % 3, NotDefined("no times")), NAME)
    with pytest.raises(UndefinedError, match="1 frames"):
        decorrelation_curve(series([0.1]), NAME)


def test_a_thinned_curve_keeps_its_ends_and_only_points_of_the_curve():
    curve = Curve(np.arange(5000.0), np.sin(np.arange(5000.0)))
    thin = curve.thinned(100)
    assert len(thin.times) <= 100 and thin.times[0] == 0 and thin.times[-1] == 4999
    np.testing.assert_array_equal(thin.values, np.sin(thin.times))
    assert np.array_equal(Curve(np.arange(3.0), np.ones(3)).thinned().times, np.arange(3.0))


def test_upsampled_motion_is_compared_lag_by_lag_with_fine_and_thinned_md():
    fine = series(well_angles(20_000, (-1, 2), (0.02, 0.02), 1), 0.1)
    curve = upsampling_curve(fine, NAME)
    assert curve.times[0] == 0.1 and curve.times[-1] == pytest.approx(100)
    s, c = np.sin(fine[NAME].astype(float)), np.cos(fine[NAME].astype(float))
    assert curve.values[6] == pytest.approx(slow_covariance(s, 7) + slow_covariance(c, 7), abs=1e-9)
    thinned = upsampling_curve(fine.every(100), NAME)
    assert thinned.times.tolist() == pytest.approx([10.0 * k for k in range(1, 11)])
    assert curve_difference(curve, thinned) < 0.1
    assert curve_difference(curve, curve) == 0
    frozen = upsampling_curve(series(np.zeros(20_000), 0.1), NAME)
    assert curve_difference(frozen, curve) > 0.2
