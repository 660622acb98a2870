"""Ensembles of proteins whose fluctuations, distances and secondary structure are known: Trp-cage along one mode."""

import json
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate
from openmm_mdgen.analysis.proteins import compare_ensembles
from openmm_mdgen.analysis.sources import pieces
from openmm_mdgen.errors import MDGenError
from torsion_walks import place

TRP_CAGE = Path(__file__).parents[1] / "data" / "proteins" / "trp_cage.pdb"
OPTIONS = {"lagtime": 2.0, "n_clusters": 15, "n_states": 3, "definitions": Definitions.SOUND}
AMPLITUDES = np.sqrt(2) * np.sin(2 * np.pi * (np.arange(50) + 0.5) / 50)  # mean 0, variance 1


@pytest.fixture(scope="module")
def structure():
    return mdtraj.load(str(TRP_CAGE))


@pytest.fixture(scope="module")
def mode(structure):
    """(n_residues, 3) nm: how residues move, without turning or moving C-alpha atoms as a whole."""
    alpha = structure.xyz[0, structure.topology.select("name CA")].astype(float)
    moves = np.random.default_rng(0).normal(size=alpha.shape).ravel()
    rigid = [np.tile(axis, (len(alpha), 1)).ravel() for axis in np.eye(3)]
    rigid += [np.cross(axis, alpha - alpha.mean(axis=0)).ravel() for axis in np.eye(3)]
    basis = np.linalg.qr(np.array(rigid).T)[0]
    return 0.002 * (moves - basis @ (basis.T @ moves)).reshape(alpha.shape)


def moved(structure, mode, amplitudes):
    """Each residue along the mode, as one piece."""
    along = mode[[atom.residue.index for atom in structure.topology.atoms]]
    xyz = structure.xyz[0] + np.asarray(amplitudes)[:, None, None] * along
    return mdtraj.Trajectory(xyz, structure.topology, time=np.arange(len(xyz)))


def of_heavy_atoms(structure, mode):
    """Root mean square of the mode over heavy atoms."""
    along = mode[[a.residue.index for a in structure.topology.atoms if a.element.symbol != "H"]]
    return np.sqrt((along**2).sum(axis=1).mean())


def test_motion_along_one_mode_has_the_values_of_that_mode(structure, mode):
    stretched = moved(structure, mode, 1.5 * AMPLITUDES)
    found = compare_ensembles(stretched, moved(structure, mode, AMPLITUDES), structure)
    size = np.linalg.norm(mode, axis=1)
    rms = np.sqrt((mode**2).sum(axis=1).mean())
    np.testing.assert_allclose(found.rmsf[1], size, rtol=0.01, atol=2e-5)
    np.testing.assert_allclose(found.rmsf[0], 1.5 * size, rtol=0.01, atol=2e-5)
    assert found.global_rmsf == pytest.approx((1.5 * rms, rms), rel=0.01)
    apart = np.abs(AMPLITUDES[:, None] - AMPLITUDES)
    assert found.pairwise_rmsd[1] == pytest.approx(rms * apart.sum() / (50 * 49), rel=0.01)
    assert found.pairwise_rmsd[0] / found.pairwise_rmsd[1] == pytest.approx(1.5, rel=0.01)
    assert found.rmsd_to_structure[1] == pytest.approx(rms * np.abs(AMPLITUDES).mean(), rel=0.01)
    assert found.root_mean_w2_variance == pytest.approx(0.5 * of_heavy_atoms(structure, mode), rel=0.01)
    assert found.root_mean_w2_translation < 0.01 * rms
    assert found.md_pca_w2 == pytest.approx(0.5 * rms, rel=0.01)
    assert found.joint_pca_w2 == pytest.approx(0.5 * rms, rel=0.01)
    for one in (found.rmsf_correlation, found.rmsf_rank_correlation, found.principal_component_cosine):
        assert one == pytest.approx(1, abs=1e-3)


def test_a_shift_along_the_mode_is_a_distance_of_centres(structure, mode):
    found = compare_ensembles(
        moved(structure, mode, 2 + AMPLITUDES), moved(structure, mode, AMPLITUDES), structure
    )  # fmt: skip
    assert found.root_mean_w2_translation == pytest.approx(2 * of_heavy_atoms(structure, mode), rel=0.01)
    assert found.root_mean_w2_variance < 0.02 * found.root_mean_w2_translation
    assert found.md_pca_w2 == pytest.approx(2 * np.sqrt((mode**2).sum(axis=1).mean()), rel=0.01)


def test_residues_that_move_elsewhere_do_not_correlate(structure, mode):
    size = np.linalg.norm(mode, axis=1)
    other = mode[::-1]
    found = compare_ensembles(moved(structure, other, AMPLITUDES), moved(structure, mode, AMPLITUDES), structure)
    assert found.rmsf_correlation == pytest.approx(np.corrcoef(size, size[::-1])[0, 1], abs=0.1)


def helical(share, n_frames=40):
    """Ten residues that are wound into a helix for the first `share` of the frames, and extended then."""
    folded = np.arange(n_frames) < share * n_frames
    angles = {(k, "PHI"): np.where(folded, -1.1, -2.3) for k in range(1, 12)}
    angles |= {(k, "PSI"): np.where(folded, -0.8, 2.4) for k in range(11)}
    return place("A" * 12, angles)


def test_secondary_structure_and_gyration_of_two_states():
    helix, extended = (compare_ensembles(one, one, one) for one in (helical(1.0), helical(0.0)))
    assert extended.helix == (0, 0) and 6 / 12 <= helix.helix[0] <= 10 / 12
    found = compare_ensembles(helical(0.75), helical(0.5), helical(1.0))
    assert found.helix == pytest.approx((0.75 * helix.helix[0], 0.5 * helix.helix[0]))
    assert found.secondary_difference == pytest.approx(0.25 * helix.helix[0])
    by_residue = found.by_residue()["helix"]["reference"]
    assert by_residue[0] == by_residue[-1] == 0 and by_residue[5] == 0.5
    radii = [one.gyration[0] for one in (helix, extended)]
    assert found.gyration[0] == pytest.approx(0.75 * radii[0] + 0.25 * radii[1])
    assert found.gyration_w2 == pytest.approx(abs(radii[1] - radii[0]) * np.sqrt(0.25), rel=1e-3)


def test_radius_of_gyration_is_weighted_by_mass(structure):
    found = compare_ensembles(*[mdtraj.join([structure] * 3)] * 2, structure)
    heavy = [a for a in structure.topology.atoms if a.element.symbol != "H"]
    masses = np.array([a.element.mass for a in heavy])
    xyz = structure.xyz[0, [a.index for a in heavy]].astype(float)
    centre = (masses[:, None] * xyz).sum(axis=0) / masses.sum()
    expected = np.sqrt((masses * ((xyz - centre) ** 2).sum(axis=1)).sum() / masses.sum())
    assert found.gyration[0] == pytest.approx(expected, rel=1e-3) and 0.6 < expected < 0.8  # OXT is there, too
    assert isinstance(found.md_pca_w2, NotDefined) and "all the same" in found.md_pca_w2.why


def test_evaluate_compares_ensembles_of_files_as_those_in_memory(structure, mode, tmp_path, monkeypatch):
    monkeypatch.setattr("openmm_mdgen.analysis.sources.ATOMS", 304 * 14)  # in four pieces
    ours, theirs = moved(structure, 10 * mode, AMPLITUDES), moved(structure, 8 * mode, AMPLITUDES[::-1])
    assert [piece.n_frames for piece in pieces(ours)] == [14, 14, 14, 8]
    for name, trajectory in (("ours", ours), ("theirs", theirs)):
        trajectory.save_trr(str(tmp_path / f"{name}.trr"))
    sources = [TrajectoryFile(tmp_path / f"{name}.trr", TRP_CAGE) for name in ("ours", "theirs")]
    found = evaluate(*sources, structure=TrajectoryFile(TRP_CAGE, TRP_CAGE), **OPTIONS).ensemble
    expected = compare_ensembles(ours, theirs, structure)
    for name, value in expected.numbers().items():
        if isinstance(value, dict):
            assert found.numbers()[name] == pytest.approx(value, rel=1e-3), name
        elif not isinstance(value, NotDefined):
            assert found.numbers()[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name


def test_replicas_give_errors_by_the_jackknife(structure, mode):
    scales = (8, 10, 13)
    replicas = [moved(structure, scale * mode, AMPLITUDES[:: 3 - k]) for k, scale in enumerate(scales)]
    reference = moved(structure, 9 * mode, AMPLITUDES)
    found = evaluate(replicas, reference, replicate=reference, **OPTIONS)
    without = [
        compare_ensembles(mdtraj.join([r for j, r in enumerate(replicas) if j != k]), reference, reference[:1])
        for k in range(3)
    ]
    for name in ("pairwise_rmsd", "global_rmsf"):
        values = np.array([getattr(one, name)[0] for one in without])
        expected = np.sqrt(2 * values.var())
        assert found.error("ensemble", name, "generated") == pytest.approx(expected, rel=1e-3) and expected > 0
        assert isinstance(found.error("ensemble", name, "reference"), NotDefined)  # one trajectory says nothing
    values = np.array([one.root_mean_w2 for one in without])
    assert found.error("ensemble", "root_mean_w2") == pytest.approx(np.sqrt(2 * values.var()), rel=1e-2)
    assert found.replicate_ensemble.root_mean_w2 < 1e-4 < found.ensemble.root_mean_w2
    assert found.replicate_geometry.strict == found.validity.reference.strict


def test_long_trajectories_are_thinned_evenly(structure, mode):
    alphas = structure.atom_slice(structure.topology.select("name CA"))
    amplitudes = np.random.default_rng(1).normal(size=600)
    long = moved(alphas, mode, amplitudes)
    kept = np.linspace(0, 599, 250).round().astype(int)
    found, expected = compare_ensembles(long, long, alphas), compare_ensembles(long[kept], long[kept], alphas)
    assert found.pair.generated.n_frames == 250 and found.pairwise_rmsd == expected.pairwise_rmsd


def test_alpha_atoms_alone_leave_the_rest_undefined_with_reasons(structure, mode):
    trajectory = moved(structure, 10 * mode, AMPLITUDES)
    alphas = trajectory.atom_slice(trajectory.topology.select("name CA"))
    found = evaluate(alphas, alphas, **OPTIONS)
    assert found.ensemble.rmsf_correlation == pytest.approx(1)
    written = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))["ensemble"]
    assert written["of_each"]["helix"] == {"generated": None, "reference": None}
    assert "DSSP needs" in written["not_defined"]["of_each.helix.generated"]
    assert written["compared"]["exposed_residues"] is None and written["by_residue"]["exposed"]["reference"] is None
    assert "side chains" in written["not_defined"]["compared.exposed_residues"]
    assert written["compared"]["rmsf_correlation"] == found.ensemble.rmsf_correlation
    assert len(written["by_residue"]["rmsf"]["generated"]) == 20


def test_short_chains_are_compared_where_asked_for_and_other_structures_refused(structure):
    short = helical(0.5).atom_slice(helical(0.5).topology.select("resid < 9"))
    by_itself = evaluate(short, short, **OPTIONS)
    assert "10 residues or more" in by_itself.ensemble.why and "has 9" in by_itself.ensemble.why
    assert evaluate(short, short, ensembles=True, **OPTIONS).ensemble.n_residues == 9
    long = helical(0.5)
    assert "not asked for" in evaluate(long, long, ensembles=False, **OPTIONS).ensemble.why
    with pytest.raises(MDGenError, match="different molecules"):
        evaluate(long, long, structure=structure, **OPTIONS)
    with pytest.raises(MDGenError, match="leave one of the two"):
        evaluate(long, long, structure=long, ensembles=False, **OPTIONS)
    one = evaluate(long[:1], long, **OPTIONS).ensemble
    assert isinstance(one, NotDefined) and "two frames" in one.why
