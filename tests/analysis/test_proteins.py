"""Protein ensembles against restatements, and with planted differences."""

from itertools import permutations

import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from openmm_mdgen.analysis.proteins import compare_ensembles, mutual_information, tabulate, wasserstein
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.errors import MDGenError, StateError
from structures import peptide
from torsion_walks import place

SEQUENCE = "ALKVSAGELF"


def structure(sequence=SEQUENCE):
    topology, positions = peptide(sequence)
    return mdtraj.Trajectory(positions[None], mdtraj.Topology.from_openmm(topology))


def tumbled(trajectory, seed):
    """Each frame turned and moved at random: nothing may depend on it."""
    rng = np.random.default_rng(seed)
    turns = Rotation.random(trajectory.n_frames, rng=rng).as_matrix()
    xyz = trajectory.xyz @ turns.transpose(0, 2, 1) + rng.normal(size=(trajectory.n_frames, 1, 3))
    return mdtraj.Trajectory(xyz, trajectory.topology)


def breathing(n_frames, seed, *, scale=1.0):
    """The structure with every atom displaced, more so towards the end of the chain."""
    start = structure()
    rng = np.random.default_rng(seed)
    sigma = scale * np.array([0.01 + 0.01 * atom.residue.index for atom in start.topology.atoms])
    xyz = start.xyz + rng.normal(size=(n_frames, start.n_atoms, 3)) * sigma[:, None]
    return mdtraj.Trajectory(xyz, start.topology)


def hinged(folded_share, n_frames=40):
    """A chain that is either extended or wound into a helix."""
    folded = np.arange(n_frames) < folded_share * n_frames
    angles = {}
    for k in range(10):
        if k > 0:
            angles[k, "PHI"] = np.where(folded, -1.1, -2.3)
        if k < 9:
            angles[k, "PSI"] = np.where(folded, -0.8, 2.4)
    return place(SEQUENCE, angles)


def test_an_ensemble_equals_itself_however_it_tumbles():
    ensemble = breathing(40, 0)
    found = compare_ensembles(tumbled(ensemble, 1), tumbled(ensemble, 2), structure())
    assert found.rmsf_correlation == pytest.approx(1, abs=1e-5)
    assert found.root_mean_w2 < 2e-3 and found.md_pca_w2 < 1e-5 and found.joint_pca_w2 < 1e-5
    assert found.principal_component_cosine == pytest.approx(1, abs=1e-4)
    assert found.pairwise_rmsd[0] == pytest.approx(found.pairwise_rmsd[1], rel=1e-4)


def test_pairwise_rmsd_and_rmsf_equal_a_loop():
    ensemble = breathing(6, 3)
    found = compare_ensembles(ensemble, breathing(5, 4), structure())
    alpha = ensemble.topology.select("name CA")
    points = ensemble.xyz[:, alpha].astype(float)
    points -= points.mean(axis=1, keepdims=True)
    rmsds = []
    for i in range(6):
        for j in range(i):
            turn, _ = Rotation.align_vectors(points[i], points[j])
            rmsds.append(np.sqrt(((points[i] - turn.apply(points[j])) ** 2).sum(axis=1).mean()))
    assert found.pairwise_rmsd[0] == pytest.approx(np.mean(rmsds), rel=1e-3)
    start = structure().xyz[0, alpha].astype(float)
    start -= start.mean(axis=0)
    laid = np.array([Rotation.align_vectors(start, x)[0].apply(x) for x in points])
    rmsf = np.sqrt(((laid - laid.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0))
    np.testing.assert_allclose(found.rmsf[0], rmsf, rtol=1e-3)


def test_gaussians_of_atoms_differ_by_their_centres_and_their_spreads():
    ensemble, wider = breathing(250, 5), breathing(250, 6, scale=2.0)
    found = compare_ensembles(wider, ensemble, structure())
    assert found.root_mean_w2**2 == pytest.approx(
        found.root_mean_w2_translation**2 + found.root_mean_w2_variance**2, rel=1e-9
    )
    sigmas = [0.01 + 0.01 * a.residue.index for a in ensemble.topology.atoms if a.element.symbol != "H"]
    exact = np.sqrt(np.mean(3 * np.square(sigmas)))  # spreads of s and 2 s along three axes
    assert found.root_mean_w2_variance == pytest.approx(exact, rel=0.1)
    assert found.root_mean_w2_translation < 0.25 * exact
    shifted = breathing(250, 7)
    moved = shifted.topology.select("resid 9 and not name CA")
    shifted.xyz[:, moved] += [0.3, 0, 0]
    n_moved = len([k for k in moved if shifted.topology.atom(k).element.symbol != "H"])
    found = compare_ensembles(shifted, ensemble, structure())
    assert found.root_mean_w2_translation == pytest.approx(0.3 * np.sqrt(n_moved / len(sigmas)), rel=0.1)


def test_wasserstein_distance_equals_the_best_of_all_pairings():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 2)), rng.normal(1, 2, size=(5, 2))
    best = min(((first - second[list(order)]) ** 2).sum(axis=1).mean() for order in permutations(range(5)))
    assert wasserstein(first, second) == pytest.approx(np.sqrt(best))


def test_principal_component_distance_is_the_rmsd_that_frames_must_be_moved_by():
    start = structure()
    states = mdtraj.join([hinged(1.0)[0], hinged(0.0)[0]])
    alpha = start.topology.select("name CA")
    states.superpose(start, atom_indices=alpha)
    rmsd = np.sqrt(((states.xyz[0, alpha] - states.xyz[1, alpha]) ** 2).sum(axis=1).mean())
    for share in (0.5, 0.75, 1.0):
        found = compare_ensembles(hinged(share), hinged(0.5), start)
        assert found.md_pca_w2 == pytest.approx(rmsd * np.sqrt(share - 0.5), rel=1e-3, abs=1e-5)
        assert found.joint_pca_w2 == pytest.approx(found.md_pca_w2, rel=1e-3, abs=1e-5)


def test_mutual_information_equals_its_definition():
    rng = np.random.default_rng(1)
    a = rng.random(200) < 0.4
    states = np.stack([a, a ^ (rng.random(200) < 0.1), rng.random(200) < 0.5, np.ones(200, bool)], axis=1)
    expected = []
    for i in range(4):
        for j in range(i + 1, 4):
            total = 0.0
            for x in (False, True):
                for y in (False, True):
                    joint = np.mean((states[:, i] == x) & (states[:, j] == y))
                    if joint > 0:
                        total += joint * np.log(joint / np.mean(states[:, i] == x) / np.mean(states[:, j] == y))
            expected.append(total)
    np.testing.assert_allclose(mutual_information(states), expected, atol=1e-12)


def test_contacts_that_open_and_form_are_told_apart():
    helix, extended = hinged(1.0), hinged(0.0)
    reference, same, other = hinged(0.5), hinged(0.6), hinged(0.02)
    opened = compare_ensembles(same, reference, helix)
    assert opened.weak_contacts == 1 and isinstance(opened.transient_contacts, NotDefined)
    formed = compare_ensembles(same, reference, extended)
    assert formed.transient_contacts == 1 and isinstance(formed.weak_contacts, NotDefined)
    assert "none in either" in str(formed.weak_contacts)
    missed = compare_ensembles(other, reference, extended)  # 2 % of the frames are not often
    assert missed.transient_contacts == 0


def test_buried_side_chains_that_become_exposed_are_found():
    buried = structure("GGGGAGGGG")
    cage = buried.xyz[0, buried.topology.select("resid 4 and name CB")[0]]
    shell = [a.index for a in buried.topology.atoms if a.residue.index not in (4,) and a.element.symbol != "H"]
    free = mdtraj.Trajectory(np.repeat(buried.xyz, 10, axis=0), buried.topology)
    directions = np.random.default_rng(0).normal(size=(len(shell), 3))
    buried.xyz[0, shell] = cage + 0.3 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    found = compare_ensembles(free, free, buried)
    assert found.exposed_residues == 1
    assert isinstance(found.exposed_information, NotDefined)  # it is always exposed
    closed = mdtraj.Trajectory(np.repeat(buried.xyz, 10, axis=0), buried.topology)
    assert compare_ensembles(closed, free, buried).exposed_residues == 0


def test_a_table_pools_residues_and_takes_medians():
    pairs = [(breathing(30, k, scale=s), breathing(30, 50 + k, scale=s)) for k, s in enumerate((0.5, 1.0, 2.0))]
    comparisons = [compare_ensembles(a, b, structure()) for a, b in pairs]
    table = tabulate(comparisons)
    assert table.pairwise_rmsd_correlation > 0.99
    ours, theirs = (np.concatenate([c.rmsf[k] for c in comparisons]) for k in (0, 1))
    assert table.global_rmsf_correlation == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
    assert table.root_mean_w2 == sorted(c.root_mean_w2 for c in comparisons)[1]
    assert isinstance(tabulate(comparisons[:1]).pairwise_rmsd_correlation, NotDefined)


def test_atoms_that_one_side_lacks_are_left_out_and_other_proteins_refused():
    ensemble = breathing(10, 0)
    heavy = ensemble.atom_slice(ensemble.topology.select("element != H and name != OXT"))
    found = compare_ensembles(heavy, ensemble, structure())
    assert found.root_mean_w2 < 2e-3
    other = structure("ALKVSAGELA")
    with pytest.raises(MDGenError, match="different proteins"):
        compare_ensembles(ensemble, ensemble, other)
    with pytest.raises(MDGenError, match="two frames"):
        compare_ensembles(ensemble[:1], ensemble, structure())
    heavy.xyz[2, 2] = np.nan
    with pytest.raises(StateError):
        compare_ensembles(heavy, ensemble, structure())
