"""The whole comparison: nothing between a trajectory and itself, each planted fault where it belongs, bad input."""

import json
import math
import warnings

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate
from openmm_mdgen.analysis.distances import angle_distance
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.errors import MDGenError, StateError
from torsion_walks import place, walk

N = 5000
OPTIONS = {"lagtime": 5.0, "n_clusters": 25, "n_states": 4, "definitions": Definitions.SOUND}


@pytest.fixture(scope="module")
def angles():
    return walk(N, 0)


@pytest.fixture(scope="module")
def reference(angles):
    return place("VSA", angles)


@pytest.fixture(scope="module")
def fair(reference):
    """A second run of the same process against the first: the floor."""
    return evaluate(place("VSA", walk(N, 4000)), reference, **OPTIONS)


def numbers(evaluation):
    """Each measure as one number that is 0, or a ratio that is 1, where nothing differs."""

    def pace(name):
        relaxation = evaluation.relaxation[name]
        return np.inf if isinstance(relaxation.generated, NotDefined) else relaxation.generated / relaxation.reference

    return {
        "slow psi": evaluation.jsd.per_torsion["PSI 0 VAL 1"],
        "other backbone": max(evaluation.jsd.per_torsion[n] for n in ("PHI 0 SER 2", "PSI 0 SER 2", "PHI 0 ALA 3")),
        "side chain": evaluation.jsd.per_torsion["CHI1 0 SER 2"],
        "other side chain": evaluation.jsd.per_torsion["CHI1 0 VAL 1"],
        "tica": evaluation.jsd.tica_0,
        "states": evaluation.jsd.msm,
        "pace of slow psi": pace("PSI 0 VAL 1"),
        "pace of side chain": pace("CHI1 0 SER 2"),
        "pace of other side chain": pace("CHI1 0 VAL 1"),
        "flux": 1 - min(vars(evaluation.states.flux_correlation).values()),
        "chirality": 1 - evaluation.validity.generated.right_chirality,
        "breaks": 1 - evaluation.validity.generated.without_break,
        "bonds": max(evaluation.validity.bond_distances.values()),
    }


def moved(evaluation):
    found = set()
    for name, value in numbers(evaluation).items():
        if name.startswith("pace"):
            found |= {name} if not 0.6 < value < 1 / 0.6 else set()
        elif value > (0.1 if name == "flux" else 0.15):
            found.add(name)
    return found


def test_a_mirrored_reference_is_warned_of(reference):
    mirrored = mdtraj.Trajectory(reference.xyz[:500] * [1, 1, -1], reference.topology, time=reference.time[:500])
    with pytest.warns(UserWarning, match="the reference: in 100% of its frames a residue is mirrored.*make it again"):
        evaluate(reference[:500], mirrored, **OPTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(mirrored, reference[:500], **OPTIONS)  # what is generated is counted, and told in its row


def shift(angles, reference):
    """One torsion by less than it takes to leave its wells."""
    return place("VSA", angles | {(0, "PSI"): angles[0, "PSI"] + 0.8})


def trap(angles, reference):
    """The slowest torsion stays in one of its wells."""
    return place("VSA", angles | {(0, "PSI"): -0.7 + np.random.default_rng(0).normal(0, 0.15, N)})


def freeze(angles, reference):
    return place("VSA", angles | {(1, "CHI1"): np.full(N, -1.1)})


def shuffle(angles, reference):
    return mdtraj.Trajectory(
        np.random.default_rng(0).permutation(reference.xyz), reference.topology, time=reference.time
    )


def hasten(angles, reference):
    return mdtraj.Trajectory(reference.xyz[::2], reference.topology, time=reference.time[: N // 2])


def mirror(angles, reference):
    """Ser 2's side chain on the other face of its backbone in every third frame: chi1 changes its sign, and its wells
    are symmetric."""
    xyz = reference.xyz.copy()
    named = {a.name: a.index for a in reference.topology.residue(1).atoms}
    ca, n, c = (xyz[::3, named[name]] for name in ("CA", "N", "C"))
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    for name in ("CB", "HA", "OG", "HB2", "HB3", "HG"):
        height = ((xyz[::3, named[name]] - ca) * normal).sum(-1, keepdims=True)
        xyz[::3, named[name]] -= 2 * height * normal
    return mdtraj.Trajectory(xyz, reference.topology, time=reference.time)


def tear(angles, reference):
    xyz = reference.xyz.copy()
    last = [a.index for a in reference.topology.atoms if a.residue.index == 2]
    link = (
        xyz[:, reference.topology.select("resid 2 and name N")]
        - xyz[:, reference.topology.select("resid 1 and name C")]
    )
    xyz[:, last] += link
    return mdtraj.Trajectory(xyz, reference.topology, time=reference.time)


SENSITIVITY = {
    shift: {"slow psi", "tica"},
    trap: {"slow psi", "tica", "states", "pace of slow psi", "flux"},
    freeze: {"side chain", "pace of side chain"},
    shuffle: {"pace of slow psi", "pace of side chain", "pace of other side chain", "flux"},
    hasten: {
        "pace of slow psi",
        "pace of side chain",
        "pace of other side chain",
    },  # all fluxes alike: still correlated
    mirror: {"chirality", "pace of side chain"},
    tear: {"breaks", "bonds"},
}


@pytest.mark.parametrize("fault", SENSITIVITY, ids=lambda fault: fault.__name__)
def test_each_planted_fault_moves_what_it_should_and_nothing_else(fault, angles, reference):
    assert moved(evaluate(fault(angles, reference), reference, **OPTIONS)) == SENSITIVITY[fault]


def test_another_run_of_the_same_process_moves_nothing(fair):
    assert moved(fair) == set()


@pytest.mark.parametrize("definitions", Definitions)
def test_a_trajectory_is_at_no_distance_from_itself(reference, definitions):
    found = evaluate(reference, reference, replicate=reference, **(OPTIONS | {"definitions": definitions}))
    for jsd in (found.jsd, found.replicate_jsd):
        assert jsd.torsions_all == jsd.torsions_backbone == jsd.torsions_sidechain == jsd.tica_0 == jsd.tica_01 == 0
        assert not any([*jsd.per_torsion.values(), *jsd.torsion_pairs.values(), *jsd.ramachandran.values()])
        assert jsd.msm == 0
    assert found.states.flux_correlation.spearman == pytest.approx(1)
    for relaxation in (*found.relaxation.values(), found.tica_relaxation):
        assert relaxation.generated == relaxation.reference > 0
    assert not any([*found.validity.bond_distances.values(), *found.validity.angle_distances.values()])
    assert found.validity.generated.valid == found.validity.reference.valid
    for surface in found.surfaces.values():
        np.testing.assert_array_equal(surface.generated, surface.reference)


def test_faults_cost_equivalent_md_time_and_the_order_of_frames_does_not(angles, reference, fair):
    def worth(trajectory):
        time = evaluate(trajectory, reference, **OPTIONS).equivalent_md_time.time
        return N if isinstance(time, NotDefined) and "more than" in time.why else time

    whole = worth(place("VSA", walk(600, 4000)))
    assert 150 < whole < 2400
    assert worth(place("VSA", {k: v[::-1] for k, v in walk(600, 4000).items()})) == pytest.approx(whole, rel=0.05)
    assert worth(shift(walk(600, 4000), reference)) < whole / 2


def test_distances_are_those_of_each_torsion_and_their_means(fair, reference):
    other = place("VSA", walk(N, 4000))
    ours, theirs = measure(other).torsions, measure(reference).torsions
    expected = {name: angle_distance(ours[name], theirs[name]) for name in theirs.names}
    assert fair.jsd.per_torsion == pytest.approx(expected, abs=1e-12)
    assert fair.jsd.torsions_all == pytest.approx(np.mean(list(expected.values())))
    assert fair.jsd.torsions_sidechain == pytest.approx(np.mean([v for k, v in expected.items() if k[0] == "C"]))


def test_relaxation_times_and_shares_are_those_of_the_process(fair):
    slow = fair.relaxation["PSI 0 VAL 1"].reference
    assert slow == pytest.approx(-1 / math.log(1 - 0.015), rel=0.35)
    assert fair.tica_relaxation.reference > 2 * fair.relaxation["PHI 0 SER 2"].reference
    np.testing.assert_allclose(fair.states.generated_shares, fair.states.reference_shares, atol=0.1)
    np.testing.assert_allclose(fair.states.reference_transition.sum(axis=1), 1)


def test_wall_times_are_of_what_was_simulated(reference):
    found = evaluate(reference[:1000], reference, generated_seconds=2.0, reference_seconds=500.0, **OPTIONS)
    psi = found.relaxation["PSI 0 VAL 1"]
    assert psi.generated_seconds == pytest.approx(psi.generated * 2.0 / 1000)
    assert psi.reference_seconds == pytest.approx(psi.reference * 500.0 / N)
    assert found.equivalent_md_seconds == pytest.approx(found.equivalent_md_time.time * 500.0 / N)
    without = evaluate(reference[:1000], reference, **OPTIONS)
    assert "wall time was not given" in str(without.equivalent_md_seconds)


def test_json_holds_every_number_and_says_why_one_is_missing(reference):
    found = evaluate(reference[:30], reference, **(OPTIONS | {"lagtime": 50.0}))
    data = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert {"torsions_backbone", "torsions_sidechain", "torsions_all", "per_torsion"} < data["jsd"].keys()
    assert {"tica_0", "tica_01", "msm"} < data["jsd"].keys()
    assert data["jsd"]["per_torsion"]["PHI 0 SER 2"] == found.jsd.per_torsion["PHI 0 SER 2"]
    why = data["not_defined"]
    assert data["replicate_jsd"] is None and why["replicate_jsd"] == "no replicate was given"
    assert data["states"]["generated_transition"] is None
    assert why["states.generated_transition"].startswith("30 frames are not more than the lag time")
    assert data["states"]["reference_transition"][0][0] > 0
    assert data["settings"]["definitions"] == "sound" and data["settings"]["versions"]["deeptime"]


def test_states_never_visited_are_named(reference):
    found = evaluate(reference[:1], reference, **OPTIONS)
    assert len(found.states.never_visited) == np.count_nonzero(found.states.reference_shares) - 1 > 0
    assert isinstance(found.states.flux_correlation, NotDefined)
    assert isinstance(found.relaxation["PSI 0 VAL 1"].generated, NotDefined)


def test_a_reference_shorter_than_the_lag_time_leaves_torsions_alone_defined(reference):
    found = evaluate(reference[:300], reference[300:600], **(OPTIONS | {"lagtime": 400.0}))
    assert found.jsd.torsions_all > 0
    for value in (found.jsd.tica_0, found.jsd.tica_01, found.jsd.msm, found.states, found.tica_relaxation):
        assert str(value).startswith("not defined: 300 frames are too few for a lag time of 400 frames")


def test_files_of_any_format_are_read_in_pieces_as_the_whole(reference, tmp_path, monkeypatch):
    monkeypatch.setattr("openmm_mdgen.analysis.sources.CHUNK", 70)
    part = reference[:200]
    part.time = 0.1 * np.arange(200)
    part[0].save_pdb(str(tmp_path / "top.pdb"))
    expected = measure(part)
    assert expected.torsions.frame_interval == pytest.approx(0.1)
    for suffix, interval in ((".xtc", None), (".dcd", 0.1), (".trr", None)):
        part.save(str(tmp_path / f"part{suffix}"))
        found = measure(TrajectoryFile(tmp_path / f"part{suffix}", tmp_path / "top.pdb", interval))
        assert found.torsions.names == expected.torsions.names and found.torsions.n_frames == 200
        assert found.torsions.frame_interval == pytest.approx(0.1, rel=1e-4)
        difference = np.exp(1j * found.torsions.angles) - np.exp(1j * expected.torsions.angles)
        assert np.abs(difference).max() < 0.03  # xtc rounds positions to 0.001 nm
        assert found.geometry.valid == expected.geometry.valid


def test_the_frame_interval_of_a_dcd_file_is_read_from_its_header(tmp_path):
    from openmm import app

    from structures import peptide

    topology, positions = peptide("AA")
    with open(tmp_path / "a.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * 10, file)
    with open(tmp_path / "a.dcd", "wb") as file:
        dcd = app.DCDFile(file, topology, 0.004, 0, 2500)
        for _ in range(3):
            dcd.writeModel(positions)
    assert measure(TrajectoryFile(tmp_path / "a.dcd", tmp_path / "a.pdb")).torsions.frame_interval == pytest.approx(
        10.0
    )
    mdtraj.load(str(tmp_path / "a.dcd"), top=str(tmp_path / "a.pdb")).save_pdb(str(tmp_path / "models.pdb"))
    timeless = measure(TrajectoryFile(tmp_path / "models.pdb", tmp_path / "a.pdb")).torsions
    assert "do not store times" in str(timeless.frame_interval)


def test_times_that_are_uneven_are_not_believed(reference):
    part = reference[:50]
    part.time = np.r_[np.arange(49), 80.0]
    assert "not evenly spaced" in str(measure(part).torsions.frame_interval)


def test_solvent_hydrogens_and_the_order_of_residues_atoms_do_not_matter(reference):
    part = reference[:300]
    heavy = part.atom_slice(part.topology.select("element != H"))
    water = mdtraj.Topology()
    molecule = water.add_residue("HOH", water.add_chain())
    water.add_atom("O", mdtraj.element.oxygen, molecule)
    wet = part.stack(mdtraj.Trajectory(np.full((300, 1, 3), 5.0), water))
    for other in (heavy, wet):
        found = evaluate(other, part, **OPTIONS)
        assert found.jsd.torsions_all == 0 and not any(found.validity.bond_distances.values())


def test_bad_input_is_refused_with_a_reason(reference, tmp_path):
    part = reference[:20]
    other = place("VSG", {(0, "PSI"): np.zeros(3)})
    with pytest.raises(MDGenError, match="different molecules"):
        evaluate(other, part)
    with pytest.raises(MDGenError, match="no such file"):
        evaluate(TrajectoryFile(tmp_path / "none.xtc", tmp_path / "none.pdb"), part)
    part[0].save_pdb(str(tmp_path / "top.pdb"))
    (tmp_path / "broken.xtc").write_bytes(b"not a trajectory")
    with pytest.raises(MDGenError, match="broken.xtc"):
        evaluate(TrajectoryFile(tmp_path / "broken.xtc", tmp_path / "top.pdb"), part)
    other.save(str(tmp_path / "other.xtc"))
    with pytest.raises(MDGenError, match="other.xtc"):
        evaluate(TrajectoryFile(tmp_path / "other.xtc", tmp_path / "top.pdb"), part)
    with pytest.raises(MDGenError, match="no frame"):
        evaluate(mdtraj.Trajectory(np.empty((0, part.n_atoms, 3)), part.topology), part)
    water = mdtraj.Topology()
    water.add_atom("O", mdtraj.element.oxygen, water.add_residue("HOH", water.add_chain()))
    with pytest.raises(MDGenError, match="no protein"):
        evaluate(mdtraj.Trajectory(np.zeros((2, 1, 3)), water), part)
    broken = mdtraj.Trajectory(part.xyz.copy(), part.topology, time=part.time)
    broken.xyz[13, 4] = np.nan
    with pytest.raises(StateError, match="not finite, first at time 13 ps"):
        evaluate(broken, part)


@pytest.mark.parametrize(
    "options",
    [
        {"lagtime": 0.0},
        {"n_states": 1},
        {"n_states": 100},
        {"seed": -1},
        {"generated_seconds": 0.0},
        {"lagtime": math.nan},
    ],
)
def test_options_that_make_no_sense_are_refused(reference, options):
    with pytest.raises(MDGenError, match=next(iter(options)) if "n_" not in next(iter(options)) else "states"):
        evaluate(reference[:5], reference[:5], **options)


def test_the_error_of_state_populations_is_the_mean_over_states_of_the_shares_differences(reference):
    found = evaluate(place("VSA", walk(600, 77)), reference, **OPTIONS)
    apart = np.abs(found.states.generated_shares - found.states.reference_shares)
    assert found.jsd.msm_error == pytest.approx(sum(apart) / len(apart)) and found.jsd.msm_error > 0
    assert evaluate(reference, reference, **OPTIONS).jsd.msm_error == 0


def test_an_evaluation_prints_its_numbers_with_their_names(fair):
    lines = str(fair).splitlines()
    assert lines[0].startswith("torsions, backbone") and f"{fair.jsd.torsions_backbone:.3f}" in lines[0]
    assert any(line.startswith("equivalent MD time") for line in lines) and "Evaluation(" not in str(fair)
