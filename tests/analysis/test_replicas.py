"""Several trajectories of one molecule: taken together, never measured across their ends, with errors."""

import json

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.analysis import Definitions, NotDefined, TorsionSeries, evaluate, torsion_distances
from openmm_mdgen.analysis.equivalent import _starts, equivalent_md_time
from openmm_mdgen.analysis.jackknife import combined, standard_errors
from openmm_mdgen.analysis.kinetics import autocovariance, decorrelation_curve, relaxation_time
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.states import fit_tica
from openmm_mdgen.analysis.validity import merged
from openmm_mdgen.errors import MDGenError
from torsion_walks import place, walk

OPTIONS = {"lagtime": 5.0, "n_clusters": 15, "n_states": 3, "definitions": Definitions.SOUND}


@pytest.fixture(scope="module")
def replicas():
    return [place("VSA", walk(n, seed)) for n, seed in ((300, 0), (260, 70), (340, 140))]


@pytest.fixture(scope="module")
def reference():
    return place("VSA", walk(800, 400))


@pytest.fixture(scope="module")
def found(replicas, reference):
    return evaluate(replicas, reference, **OPTIONS)


def end_to_end(trajectories):
    xyz = np.concatenate([t.xyz for t in trajectories])
    return mdtraj.Trajectory(xyz, trajectories[0].topology, time=np.arange(len(xyz)))


def test_distributions_are_those_of_all_frames(found, replicas, reference):
    one = evaluate(end_to_end(replicas), reference, **OPTIONS)
    assert found.jsd == one.jsd and found.generated.n_frames == 900 and found.generated.n_trajectories == 3
    np.testing.assert_array_equal(found.states.generated_shares, one.states.generated_shares)
    for name in ("valid", "without_clash", "without_break", "right_chirality"):
        assert getattr(found.validity.generated, name) == pytest.approx(getattr(one.validity.generated, name))
    for name, bonds in one.validity.generated.bonds.items():
        together = found.validity.generated.bonds[name]
        np.testing.assert_array_equal(together.counts, bonds.counts)
        assert together.mean == pytest.approx(bonds.mean) and together.deviation == pytest.approx(bonds.deviation)


def test_one_trajectory_in_a_list_is_that_trajectory(replicas, reference):
    listed, alone = (evaluate(one, reference, **OPTIONS) for one in ([replicas[0]], replicas[0]))
    assert listed.to_json() == alone.to_json()
    assert isinstance(alone.errors, NotDefined) and isinstance(alone.error("jsd", "msm"), NotDefined)


def test_time_does_not_go_on_from_one_trajectory_to_the_next():
    rng = np.random.default_rng(0)
    runs = [rng.normal(size=n) for n in (40, 25, 3)]
    sums = np.array([sum((x[: len(x) - k] * x[k:]).sum() for x in runs if len(x) > k) for k in range(12)])
    pairs = np.array([sum(max(len(x) - k, 0) for x in runs) for k in range(12)])
    np.testing.assert_allclose(autocovariance(runs, 12), sums / pairs, atol=1e-10)


def test_constant_trajectories_are_not_seen_to_jump():
    """Each in a well of its own: the torsion never changes within one, though it does from one to the next."""
    angles = np.repeat([0.3, 2.5, -1.0], 50)[:, None].astype(np.float32)
    angles += np.random.default_rng(1).normal(0, 1e-3, angles.shape).astype(np.float32)
    series = TorsionSeries(("PHI 0 ALA 2",), angles, 1.0, (50, 50, 50))
    assert decorrelation_curve(series, "PHI 0 ALA 2").values[:20].min() > 0.9
    one = TorsionSeries(("PHI 0 ALA 2",), angles, 1.0)
    assert relaxation_time(decorrelation_curve(one, "PHI 0 ALA 2")) < 50


def test_slow_coordinates_are_fitted_to_pairs_within_a_trajectory():
    rng = np.random.default_rng(3)
    runs = [np.cumsum(rng.normal(0, 0.2, (n, 2)), axis=0).astype(np.float32) for n in (200, 150)]
    names = ("PHI 0 ALA 2", "PSI 0 ALA 2")
    series = TorsionSeries(names, np.concatenate(runs), 1.0, (200, 150))
    model = fit_tica(series, lagtime=4.0, definitions=Definitions.SOUND)
    features = [part.astype(float) for part in series.split(series.features())]
    x, y = (np.concatenate([f[:-4] for f in features]), np.concatenate([f[4:] for f in features]))
    mean = (x.mean(axis=0) + y.mean(axis=0)) / 2
    np.testing.assert_allclose(model.model.mean_0, mean, atol=1e-6)


def test_pieces_of_md_lie_within_one_trajectory(replicas):
    starts = _starts((5, 2, 4), 3)
    assert starts.tolist() == [0, 1, 2, 7, 8]
    series = TorsionSeries.joined([measure(r).torsions for r in replicas])
    assert series.lengths == (300, 260, 340)
    assert equivalent_md_time(series, series).lengths.max() <= 340


def test_errors_are_the_jackknife_s():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, 8)
    without = [{"mean": float(np.delete(x, k).mean()), "none": NotDefined("why")} for k in range(8)]
    errors = standard_errors(without)
    assert errors["mean"] == pytest.approx(x.std(ddof=1) / np.sqrt(8))  # of a mean: the standard error
    assert errors["none"] == NotDefined("why")
    assert combined([{"a": 3.0}, {"a": 4.0}]) == {"a": 5.0}


def test_every_number_has_an_error_of_the_right_size(found, replicas, reference):
    for name in ("torsions_all", "torsions_backbone", "tica_0", "omega", "ca_angles"):
        value, error = getattr(found.jsd, name), found.error("jsd", name)
        assert 0 <= error < 0.1 and (error > 0 or name == "omega"), (name, value, error)
    others = [place("VSA", walk(300, seed)) for seed in range(1000, 1800, 100)]
    spread = [np.mean(list(torsion_distances(other, reference).values())) for other in others]
    assert 0.2 < found.error("jsd", "torsions_all") / (np.std(spread) / np.sqrt(3)) < 5
    assert found.errors["relaxation"]["CHI1 0 SER 2"]["generated"] > 0
    assert found.errors["relaxation"]["CHI1 0 SER 2"]["reference"] == 0  # one reference: nothing can be said of it
    written = json.loads(found.to_json())
    assert written["errors"]["jsd"]["torsions_all"] == found.error("jsd", "torsions_all")
    both = evaluate(replicas, [reference[:400], reference[400:]], **OPTIONS)
    assert both.errors["relaxation"]["CHI1 0 SER 2"]["reference"] > 0


def test_trajectories_of_one_side_have_one_frame_interval(replicas, reference):
    other = mdtraj.Trajectory(replicas[1].xyz, replicas[1].topology, time=2 * np.arange(260))
    with pytest.raises(MDGenError, match="frames 1 and 2 ps apart"):
        evaluate([replicas[0], other], reference, **OPTIONS)
    assert merged([measure(replicas[0]).geometry]).n_frames == 300
