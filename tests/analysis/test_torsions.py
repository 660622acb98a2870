"""Torsions and their distance, against a slow restatement from the definition."""

import math

import mdtraj
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openmm import unit

from openmm_mdgen.analysis import (
    TorsionSeries,
    UndefinedError,
    mean_torsion_distances,
    torsion_distances,
    torsion_histograms,
    torsions,
)
from openmm_mdgen.analysis.torsions import ramachandran_pairs, torsion_pairs
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md.peptides import build_peptide


def noisy(sequence: str, n_frames: int, seed: int) -> mdtraj.Trajectory:
    """Frames of a peptide whose atoms are displaced at random: torsions everywhere."""
    topology, positions = build_peptide(sequence, seed=1)
    positions = positions.value_in_unit(unit.nanometer)
    rng = np.random.default_rng(seed)
    xyz = positions + rng.normal(0, rng.uniform(0.01, 0.1), (n_frames, *positions.shape))
    return mdtraj.Trajectory(xyz, mdtraj.Topology.from_openmm(topology))


def slow_dihedral(p: np.ndarray) -> float:
    b1, b2, b3 = p[1] - p[0], p[2] - p[1], p[3] - p[2]
    n1, n2 = np.cross(b1, b2), np.cross(b2, b3)
    return math.atan2(np.dot(np.cross(n1, n2), b2) / np.linalg.norm(b2), np.dot(n1, n2))


def slow_distance(a: list[float], b: list[float]) -> float:
    """Square root of the Jensen-Shannon divergence, bin by bin."""
    width = 2 * math.pi / 100
    bins = range(100)
    p, q = ([sum(min(int((x + math.pi) / width), 99) == k for x in s) / len(s) for k in bins] for s in (a, b))
    divergence = 0.0
    for x, y in zip(p, q, strict=True):
        for z in (x, y):
            if z > 0:
                divergence += 0.5 * z * math.log(z / ((x + y) / 2))
    return math.sqrt(max(divergence, 0.0))


def atom_index(trajectory: mdtraj.Trajectory, residue: int, name: str) -> int:
    return next(a.index for a in trajectory.topology.residue(residue).atoms if a.name == name)


def test_names_are_the_published_ones_and_complete():
    expected = {"PHI 0 LYS 2", "PHI 0 SER 3", "PHI 0 GLY 4", "PSI 0 ALA 1", "PSI 0 LYS 2", "PSI 0 SER 3"}
    expected |= {"CHI1 0 LYS 2", "CHI2 0 LYS 2", "CHI3 0 LYS 2", "CHI4 0 LYS 2", "CHI1 0 SER 3"}
    assert set(torsions(noisy("AKSG", 2, 0))) == expected


def test_order_is_the_published_one():
    kinds = [(name.split()[0], name.split()[3]) for name in torsions(noisy("RSAA", 1, 0))]
    backbone = [("PHI", "2"), ("PSI", "1"), ("PHI", "3"), ("PSI", "2"), ("PHI", "4"), ("PSI", "3")]
    assert kinds == [*backbone, ("CHI1", "1"), ("CHI1", "2"), *((f"CHI{k}", "1") for k in (2, 3, 4, 5))]


def test_pairs_are_the_published_ones_and_those_of_a_ramachandran_plot():
    names = tuple(torsions(noisy("AAAA", 1, 0)))
    assert torsion_pairs(names) == [("PSI 0 ALA 1", "PHI 0 ALA 3"), ("PSI 0 ALA 2", "PHI 0 ALA 4")]
    assert ramachandran_pairs(names) == [("PHI 0 ALA 2", "PSI 0 ALA 2"), ("PHI 0 ALA 3", "PSI 0 ALA 3")]


def series(names, n_frames=40, interval=0.1):
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (n_frames, len(names))).astype(np.float32)
    return TorsionSeries(tuple(names), angles, interval)


def test_features_are_cosine_and_sine_side_by_side():
    walk = series(["PHI 0 ALA 2", "PSI 0 ALA 1"])
    features = walk.features()
    assert features.dtype == np.float32
    for k, name in enumerate(walk.names):
        np.testing.assert_allclose(features[:, 2 * k], np.cos(walk[name]), atol=1e-6)
        np.testing.assert_allclose(features[:, 2 * k + 1], np.sin(walk[name]), atol=1e-6)


def test_sound_torsions_do_not_tell_the_ends_of_a_ring_apart_and_leave_chi5_out():
    walk = series(["PHI 0 PHE 2", "CHI2 0 PHE 1", "CHI2 0 LYS 2", "CHI5 0 ARG 3"])
    flipped = TorsionSeries(walk.names, walk.angles.copy(), 0.1)
    flipped.angles[::2, 1] -= np.sign(flipped.angles[::2, 1]) * np.pi
    sound, other = walk.sound(), flipped.sound()
    assert sound.names == walk.names[:3]
    np.testing.assert_array_equal(sound.angles[:, [0, 2]], walk.angles[:, [0, 2]])
    np.testing.assert_allclose(np.exp(1j * sound.angles[:, 1]), np.exp(1j * other.angles[:, 1]), atol=1e-5)
    assert not np.allclose(np.exp(1j * walk.angles[:, 1]), np.exp(1j * flipped.angles[:, 1]), atol=1e-5)


def test_a_lag_time_is_a_whole_number_of_frames_or_refused():
    walk = series(["PHI 0 ALA 2"], interval=0.1)
    assert walk.frames_in(100.0) == 1000 and walk.every(20).frames_in(100.0) == 50
    for time in (0.04, 0.25):
        with pytest.raises(UndefinedError, match="no whole number of frames"):
            walk.frames_in(time)


def test_torsions_equal_the_dihedrals_of_the_atoms_that_define_them():
    trajectory = noisy("VFRI", 5, 2)
    angles = torsions(trajectory)
    for name, quadruple in {
        "PHI 0 PHE 2": [(0, "C"), (1, "N"), (1, "CA"), (1, "C")],
        "PSI 0 VAL 1": [(0, "N"), (0, "CA"), (0, "C"), (1, "N")],
        "CHI1 0 VAL 1": [(0, "N"), (0, "CA"), (0, "CB"), (0, "CG1")],
        "CHI2 0 PHE 2": [(1, "CA"), (1, "CB"), (1, "CG"), (1, "CD1")],
        "CHI2 0 ILE 4": [(3, "CA"), (3, "CB"), (3, "CG1"), (3, "CD1")],
        "CHI4 0 ARG 3": [(2, "CG"), (2, "CD"), (2, "NE"), (2, "CZ")],
    }.items():
        index = [atom_index(trajectory, *atom) for atom in quadruple]
        slow = [slow_dihedral(frame[index].astype(float)) for frame in trajectory.xyz]
        np.testing.assert_allclose(np.exp(1j * angles[name]), np.exp(1j * np.array(slow)), atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31))
def test_distance_equals_its_definition(n_generated, n_reference, seed):
    generated, reference = noisy("KV", n_generated, seed), noisy("KV", n_reference, seed + 1)
    fast = torsion_distances(generated, reference)
    ours, theirs = torsions(generated), torsions(reference)
    assert fast.keys() == ours.keys()
    for name in fast:
        assert fast[name] == pytest.approx(slow_distance(ours[name], theirs[name]), abs=1e-6)


def test_distance_is_zero_to_itself_and_sqrt_log_two_to_a_disjoint_distribution():
    trajectory = noisy("AV", 50, 0)
    assert max(torsion_distances(trajectory, trajectory).values()) == 0
    one, other = noisy("AV", 1, 0), noisy("AV", 1, 1)
    one.xyz[0] = other.xyz[0]
    index = [atom_index(one, 1, name) for name in ("CG1", "CG2")]
    one.xyz[0, index] = one.xyz[0, index[::-1]]  # chi1 jumps by about 120 degrees, phi and psi stay
    distances = torsion_distances(one, other)
    assert distances["CHI1 0 VAL 2"] == pytest.approx(math.sqrt(math.log(2)))
    assert distances["PHI 0 VAL 2"] == distances["PSI 0 ALA 1"] == 0


def test_pieces_give_the_whole_trajectorys_counts_and_every_frame_is_counted():
    trajectory = noisy("FK", 101, 3)
    whole = torsion_histograms(trajectory)
    pieces = torsion_histograms(trajectory[k : k + 25] for k in range(0, 101, 25))
    for name, counts in whole.items():
        np.testing.assert_array_equal(counts, pieces[name])
        assert counts.sum() == 101


def test_a_flat_torsion_falls_into_an_outer_bin():
    topology, _ = build_peptide("GG")
    trajectory = mdtraj.Trajectory(np.zeros((1, topology.getNumAtoms(), 3)), mdtraj.Topology.from_openmm(topology))
    zigzag = {(0, "N"): (0, 0, 0), (0, "CA"): (0.1, 0.1, 0), (0, "C"): (0.2, 0, 0), (1, "N"): (0.3, 0.1, 0)}
    for atom, position in zigzag.items():
        trajectory.xyz[0, atom_index(trajectory, *atom)] = position
    counts = torsion_histograms(trajectory)["PSI 0 GLY 1"]
    assert counts[0] + counts[-1] == 1


def test_means_are_over_backbone_sidechains_and_all():
    means = mean_torsion_distances({"PHI 0 ALA 2": 0.1, "PSI 0 ALA 1": 0.3, "CHI1 0 VAL 3": 0.5, "CHI2 0 ILE 4": 0.9})
    assert means == pytest.approx((0.2, 0.7, 0.45))
    without = mean_torsion_distances({"PHI 0 ALA 2": 0.1})
    assert without.all == 0.1
    assert str(without.sidechain) == "not defined: the molecule has no side-chain torsion"


def test_other_molecules_empty_and_broken_trajectories_are_refused():
    trajectory = noisy("AV", 2, 0)
    with pytest.raises(MDGenError, match="different molecules.*CHI1 0 VAL 2"):
        torsion_distances(trajectory, noisy("AA", 2, 0))
    with pytest.raises(MDGenError, match="without frames"):
        torsion_distances(trajectory, [])
    trajectory.xyz[1, 3] = np.nan
    with pytest.raises(StateError, match="not finite"):
        torsions(trajectory)
