"""Distances of distributions against the published program's numbers and a slow restatement."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm_mdgen.analysis.distances import angle_distance, joint_angle_distance, js_distance, sample_distance
from openmm_mdgen.analysis.surfaces import coordinate_surface, free_energy, torsion_surface
from openmm_mdgen.analysis.undefined import UndefinedError

FIXTURE = np.load(Path(__file__).parent.parent / "data" / "fixtures" / "analysis.npz")


def slow_distance(p, q):
    p, q = ([float(x) / float(sum(w)) for x in w] for w in (p, q))
    divergence = 0.0
    for x, y in zip(p, q, strict=True):
        divergence += sum(0.5 * z * math.log(z / ((x + y) / 2)) for z in (x, y) if z > 0)
    return math.sqrt(max(divergence, 0.0))


def slow_counts(points, low, high, n):
    """{bin indices: count} of tuples, value by value; the last bin holds its upper edge."""
    counts = {}
    for point in points:
        index = tuple(min(int((x - a) / (b - a) * n), n - 1) for x, a, b in zip(point, low, high, strict=True))
        counts[index] = counts.get(index, 0) + 1
    return counts


def test_distances_equal_the_published_programs():
    a, b = FIXTURE["torsion_a"], FIXTURE["torsion_b"]
    assert angle_distance(a, b) == pytest.approx(float(FIXTURE["jsd_1d"]), abs=1e-10)
    pairs = (a[:2000], a[2000:4000]), (b[:1000], b[1000:])
    assert joint_angle_distance(*pairs) == pytest.approx(float(FIXTURE["jsd_2d"]), abs=1e-10)


weights = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


@settings(max_examples=60, deadline=None)
@given(weights, weights)
def test_distance_equals_its_definition_is_symmetric_and_bounded(p, q):
    distance = js_distance(p, q)
    assert distance == pytest.approx(slow_distance(p, q), abs=1e-7)
    assert distance == pytest.approx(js_distance(q, p), abs=1e-12)
    assert 0 <= distance <= math.sqrt(math.log(2)) + 1e-12
    assert js_distance(p, [7 * x for x in p]) < 1e-7


def test_nearly_equal_distributions_have_no_nan():
    p = np.full(1000, 0.001)
    assert js_distance(p, p * (1 + 1e-15 * np.arange(1000))) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(("d", "n"), [(1, 100), (2, 50)])
def test_samples_are_compared_over_their_joint_range(d, n):
    rng = np.random.default_rng(d)
    first, second = rng.normal(0, 1, (300, d)), rng.normal(1, 2, (200, d))
    both = np.concatenate([first, second])
    one, other = (slow_counts(x.tolist(), both.min(axis=0), both.max(axis=0), n) for x in (first, second))
    bins = sorted(one.keys() | other.keys())
    expected = slow_distance([one.get(k, 0) for k in bins], [other.get(k, 0) for k in bins])
    assert sample_distance(first, second) == pytest.approx(expected, abs=1e-10)
    assert sample_distance(first, first) == 0


def test_an_empty_histogram_has_no_distance():
    with pytest.raises(UndefinedError, match="empty"):
        js_distance([0, 0], [1, 0])


def test_free_energy_is_the_logarithm_of_populations_in_kt():
    surface = free_energy(np.array([[40, 20], [0, 5]]))
    assert surface[0, 0] == 0 and math.isinf(surface[1, 0])
    assert surface[0, 1] == pytest.approx(math.log(2))
    assert surface[1, 1] == pytest.approx(math.log(8))


def test_a_free_energy_surface_has_its_minimum_where_the_frames_are():
    rng = np.random.default_rng(0)
    here, there = (rng.normal((x, y), 0.1, (2000, 2)) for x, y in ((-1.0, 2.0), (1.5, -0.5)))
    for surface in (
        torsion_surface(("PHI", "PSI"), tuple(here.T), tuple(there.T)),
        coordinate_surface(("X", "Y"), here, there),
    ):
        for grid, (x, y) in ((surface.generated, (-1.0, 2.0)), (surface.reference, (1.5, -0.5))):
            i, j = np.unravel_index(grid.argmin(), grid.shape)
            assert surface.x_edges[i] - 0.15 < x < surface.x_edges[i + 1] + 0.15
            assert surface.y_edges[j] - 0.15 < y < surface.y_edges[j + 1] + 0.15
