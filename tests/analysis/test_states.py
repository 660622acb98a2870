"""TICA, clusters and metastable states against a restatement and processes whose states are known."""

import numpy as np
import pytest
import scipy.linalg

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.states import fit_states, fit_tica
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.undefined import UndefinedError
from torsion_walks import jumps, well_angles

PUBLISHED, SOUND = Definitions.PUBLISHED, Definitions.SOUND
NAMES = ("PHI 0 ALA 2", "PSI 0 ALA 1", "PHI 0 ALA 3")


def three_torsions(n_frames=6000, seed=0):
    columns = [
        well_angles(n_frames, (-1.0, 1.5), (0.1, 0.1), seed),
        well_angles(n_frames, (-0.7, 2.4), (0.005, 0.008), seed + 1),
        well_angles(n_frames, (-2.0, 0.5), (0.02, 0.03), seed + 2),
    ]
    return TorsionSeries(NAMES, np.stack(columns, axis=1).astype(np.float32), 1.0)


def slow_tica(features, lag):
    """Projection by the generalised eigenproblem of the symmetrised covariances."""
    x, y = features[:-lag], features[lag:]
    mean = (x.mean(axis=0) + y.mean(axis=0)) / 2
    x, y = x - mean, y - mean
    n = len(x)
    c0, ct = (x.T @ x + y.T @ y) / (2 * n), (x.T @ y + y.T @ x) / (2 * n)
    values, vectors = scipy.linalg.eigh(ct, c0)
    order = np.argsort(-np.abs(values))
    values, vectors = values[order], vectors[:, order]
    share = np.cumsum(values**2) / np.sum(values**2)
    n_kept = int(np.argmax(share >= 0.95)) + 1
    return ((features - mean) @ vectors * values)[:, :n_kept]


def test_projection_equals_the_generalised_eigenproblems():
    series = three_torsions()
    for lag in (1, 20):
        slow = slow_tica(series.features().astype(float), lag)
        fast = fit_tica(series, lagtime=float(lag), definitions=PUBLISHED).project(series)
        assert fast.shape == slow.shape and fast.dtype == np.float32
        signs = np.sign((fast * slow).sum(axis=0))
        np.testing.assert_allclose(fast, slow * signs, atol=1e-4)


def test_reading_in_blocks_changes_nothing(monkeypatch):
    series = three_torsions(1000)
    whole = fit_tica(series, lagtime=10.0, definitions=PUBLISHED).project(series)
    monkeypatch.setattr("openmm_mdgen.analysis.states._BLOCK", 137)
    np.testing.assert_allclose(fit_tica(series, lagtime=10.0, definitions=PUBLISHED).project(series), whole, atol=1e-5)


def test_the_slowest_torsion_makes_the_first_coordinate():
    series = three_torsions()
    slowest = fit_tica(series, lagtime=10.0, definitions=PUBLISHED).project(series)[:, 0]
    states = jumps(6000, (0.005, 0.008), 1)
    assert abs(np.corrcoef(slowest, states)[0, 1]) > 0.95


def test_sound_tica_keeps_two_dimensions_where_one_holds_nearly_all():
    angles = three_torsions().angles.copy()
    angles[:, [0, 2]] = np.random.default_rng(0).uniform(-np.pi, np.pi, (len(angles), 2))
    series = TorsionSeries(NAMES, angles, 1.0)
    assert fit_tica(series, lagtime=20.0, definitions=PUBLISHED).n_tica == 1
    assert fit_tica(series, lagtime=20.0, definitions=SOUND).n_tica == 2


def test_metastable_states_are_the_wells_of_the_slow_torsions():
    series = three_torsions(20_000)
    tica = fit_tica(series, lagtime=5.0, definitions=PUBLISHED)
    states = fit_states(tica.project(series), 5, n_clusters=30, n_states=4, definitions=PUBLISHED)
    wells = 2 * jumps(20_000, (0.005, 0.008), 1) + jumps(20_000, (0.02, 0.03), 2)
    table = np.zeros((4, 4))
    np.add.at(table, (states.labels, wells), 1)
    assert table.max(axis=1).sum() / table.sum() > 0.97
    assert sorted(table.argmax(axis=1)) == [0, 1, 2, 3]
    found = states.coarse.full_stationary()[np.argsort(table.argmax(axis=1))]
    slow, middling = (8 / 13, 5 / 13), (3 / 5, 2 / 5)
    np.testing.assert_allclose(found, np.outer(slow, middling).ravel(), atol=0.06)
    np.testing.assert_array_equal(states.label(tica.project(series)), states.labels)


def test_states_are_the_same_every_time_for_one_seed():
    series = three_torsions(3000)
    projection = fit_tica(series, lagtime=5.0, definitions=PUBLISHED).project(series)
    one, two = (fit_states(projection, 5, n_clusters=20, n_states=3, definitions=PUBLISHED) for _ in range(2))
    np.testing.assert_array_equal(one.labels, two.labels)


def test_a_cluster_left_for_good_is_undefined_as_published_and_joined_to_a_neighbour_else():
    series = three_torsions(3000)
    angles = series.angles.copy()
    angles[:100, 0] = 0.2  # a place that is never found again
    series = TorsionSeries(NAMES, angles, 1.0)
    projection = np.concatenate([fit_tica(series, lagtime=5.0, definitions=PUBLISHED).project(series)])
    projection[:100] += 40
    with pytest.raises(UndefinedError, match="of 20 clusters are left and entered again"):
        fit_states(projection, 5, n_clusters=20, n_states=3, definitions=PUBLISHED)
    states = fit_states(projection, 5, n_clusters=20, n_states=3, definitions=SOUND)
    assert set(states.labels) <= {0, 1, 2} and len(set(states.labels[:100])) == 1


def test_what_is_too_short_or_does_not_move_has_no_states():
    series = three_torsions(50)
    with pytest.raises(UndefinedError, match="50 frames are too few for a lag time of 100 frames"):
        fit_tica(series, lagtime=100.0, definitions=PUBLISHED)
    frozen = TorsionSeries(NAMES, np.ones((200, 3), np.float32), 1.0)
    with pytest.raises(UndefinedError, match="no torsion moves"):
        fit_tica(frozen, lagtime=10.0, definitions=PUBLISHED)
    few = np.repeat(np.random.default_rng(0).normal(size=(5, 2)), 100, axis=0).astype(np.float32)
    with pytest.raises(UndefinedError, match="5 distinct frames cannot be sorted into 20 clusters"):
        fit_states(few, 5, n_clusters=20, n_states=3, definitions=PUBLISHED)


def test_clusters_are_nearest_centres_and_centres_are_means_of_their_frames():
    series = three_torsions(2000)
    projection = fit_tica(series, lagtime=5.0, definitions=PUBLISHED).project(series)
    states = fit_states(projection, 5, n_clusters=15, n_states=3, definitions=PUBLISHED)
    centers = states.clusters.cluster_centers.astype(float)
    nearest = np.array([np.argmin([np.sum((x - c) ** 2) for c in centers]) for x in projection.astype(float)])
    np.testing.assert_array_equal(states.clusters.transform(projection), nearest)
    np.testing.assert_array_equal(states.label(projection), states.state_of_cluster[nearest])
    means = np.array([projection[nearest == k].mean(axis=0) for k in range(15)])
    assert np.abs(means - centers).max() < 0.02 * np.ptp(projection, axis=0).max()
