"""Populations and timescales of short runs against walks that are known, and the loop with real MD."""

import math

import mdtraj
import numpy as np
import pytest
from distributed import Client, LocalCluster

from openmm_mdgen.analysis import TorsionSeries, UndefinedError
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.errors import GenerationError, MDGenError, StateError
from openmm_mdgen.exploration import Exploration, Kinetics, Plan, SharedRuns, generated_frames
from openmm_mdgen.md.stereochemistry import Stereochemistry
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.protocol import GeneratedSegment
from openmm_mdgen.seeds import segment_seed
from structures import peptide

WELLS = np.array([-1.2, 1.6])
NAMES = ("PHI 0 ALA 2", "PSI 0 ALA 2")


def walk(n_frames, leaving, start, seed):
    """(n_frames,) of 0 and 1 from a start, left with the given probabilities each frame."""
    rng, state, found = np.random.default_rng(seed), start, []
    for _ in range(n_frames):
        state ^= int(rng.random() < leaving[state])
        found.append(state)
    return np.array(found)


def pieces_of(leaving, starts, *, n_frames=100, first_seed=0):
    """Two torsions of which one jumps between wells."""
    pieces = []
    for seed, start in enumerate(starts, first_seed):
        states = walk(n_frames, leaving, start, seed)
        noise = np.random.default_rng((seed, 1)).normal(0, 0.15, (n_frames, 2))
        angles = np.stack([WELLS[states], np.full(n_frames, -1.0)], axis=1) + noise
        pieces.append(TorsionSeries(NAMES, angles.astype(np.float32), 1.0))
    return pieces


def in_second(piece):
    return piece["PHI 0 ALA 2"] > 0.2


def test_runs_that_all_start_in_one_state_give_the_populations_of_equilibrium():
    leaving = (0.01, 0.03)
    kinetics = Kinetics.of(pieces_of(leaving, [1] * 60), lagtime=5.0, n_microstates=10)
    population, truth = kinetics.population(in_second), leaving[0] / sum(leaving)
    assert population.low < truth < population.high and population.high - population.low < 0.2
    assert kinetics.raw(in_second) > 1.5 * truth, "the start left no trace: nothing was corrected"
    slowest = kinetics.timescales[0]
    exact = -1 / math.log(1 - sum(leaving))
    assert slowest.low < exact < slowest.high and slowest.value == pytest.approx(exact, rel=0.25)
    assert sum(w.sum() for w in kinetics.weights) == pytest.approx(1)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, held = 0.4, 0
    for trial in range(40):
        pieces = pieces_of((0.02, 0.03), [0, 1] * 20, first_seed=1000 * trial)
        population = Kinetics.of(pieces, lagtime=5.0, n_microstates=6).population(in_second)
        held += population.low < truth < population.high
    assert held >= 34  # percentiles of a bootstrap over 40 pieces are known to be a little narrow: 36 are usual


def test_states_that_do_not_meet_are_told_and_ask_for_more():
    kinetics = Kinetics.of(pieces_of((0.0, 0.0), [0] * 12 + [1] * 4), lagtime=5.0, n_microstates=4)
    assert kinetics.unconnected == pytest.approx(0.25, abs=0.01)
    lost = np.unique(np.concatenate(kinetics.labels[12:]))
    assert kinetics.need[lost].min() == kinetics.need.max() and kinetics.need.sum() == pytest.approx(1)


def test_a_single_piece_has_no_error_and_asks_for_more_everywhere():
    kinetics = Kinetics.of(pieces_of((0.1, 0.1), [0], n_frames=400), lagtime=2.0, n_microstates=4)
    assert kinetics.population(in_second).high == pytest.approx(kinetics.population(in_second).low)
    np.testing.assert_allclose(kinetics.need, 0.25)


def test_pieces_that_cannot_be_used_are_refused():
    with pytest.raises(UndefinedError, match="left and entered"):
        Kinetics.of(pieces_of((0.0, 0.0), [0, 1]), lagtime=5.0, n_microstates=2)
    with pytest.raises(UndefinedError, match="longer than the lag time"):
        Kinetics.of(pieces_of((0.1, 0.1), [0, 1], n_frames=10), lagtime=10.0)
    with pytest.raises(MDGenError, match="two lag times"):
        Plan(piece=10.0, lagtime=10.0)


TINY = Plan(runs=3, piece=0.4, settling=0.04, frame_interval=0.04, lagtime=0.04, n_microstates=4, seed=0)


@pytest.fixture(scope="module")
def swarm():
    topology, positions = peptide("AG")
    return Swarm(topology, positions, n_places=3, platform="Reference", seed=4)


@pytest.fixture(scope="module")
def generated(swarm):
    """Stands for generated frames: the structure with noise, which has to be relaxed."""
    topology, positions = peptide("AG")
    noise = np.random.default_rng(0).normal(0, 0.01, (6, *positions.shape))
    return mdtraj.Trajectory(positions + noise, mdtraj.Topology.from_openmm(topology))


def test_rounds_are_kept_and_go_on(swarm, generated, tmp_path):
    exploration = Exploration(swarm, tmp_path, TINY)
    assert exploration.n_rounds == 0
    exploration.round(generated)
    first = [piece.xyz for piece in exploration.pieces]
    assert [piece.n_frames for piece in exploration.pieces] == [10] * 3
    assert exploration.nanoseconds == pytest.approx(3 * 0.44 / 1000)

    again = Exploration(swarm, tmp_path, TINY)
    assert again.n_rounds == 1
    kinetics = again.round(generated)
    assert again.n_rounds == 2 and len(kinetics.labels) == 6
    for before, after in zip(first, again.pieces, strict=False):
        np.testing.assert_array_equal(before, after.xyz)
    # A later round starts from real frames: what follows 0.08 ps after lies near one of them.
    real = np.concatenate(first)
    for piece in again.pieces[3:]:
        assert min(mdtraj.rmsd(mdtraj.Trajectory(real, piece.topology), piece, 0)) < 0.1

    (tmp_path / "piece_00005.xtc").unlink()
    assert Exploration(swarm, tmp_path, TINY).n_rounds == 1, "a round that was cut off counts"


def mirrored_when_relaxed(trajectory):
    """The frames with the hydrogen on CA of ALA among the heavy atoms around it."""
    ca, ha, *heavy = (trajectory.topology.select(f"resSeq 1 and name {name}")[0] for name in "CA HA N C CB".split())
    inward = (trajectory.xyz[:, heavy] - trajectory.xyz[:, [ca]]).sum(1)
    changed = trajectory.xyz.copy()
    changed[:, ha] = changed[:, ca] + 0.11 * inward / np.linalg.norm(inward, axis=1, keepdims=True)
    return changed


def test_frames_that_turn_over_when_relaxed_are_not_started_from(swarm, generated, tmp_path):
    wrong = mdtraj.Trajectory(mirrored_when_relaxed(generated), generated.topology)
    with pytest.raises(StateError, match="ALA 1 is a D amino acid"):
        Exploration(swarm, tmp_path / "wrong", TINY).round(wrong[:3])
    assert not list((tmp_path / "wrong").glob("piece_*"))
    mixed = mdtraj.join([wrong[0], generated[1:3]])
    exploration = Exploration(swarm, tmp_path / "mixed", TINY)
    with pytest.warns(UserWarning, match="1 of 3 chosen frames could not be relaxed"):
        exploration.round(mixed)
    assert len(exploration.pieces) == 3
    known = Stereochemistry.of(swarm.topology)
    assert not any(known.mirrored(frame.astype(float)) for piece in exploration.pieces for frame in piece.xyz)


def test_what_does_not_fit_the_folder_or_the_molecule_is_refused(swarm, generated, tmp_path):
    exploration = Exploration(swarm, tmp_path, TINY)
    with pytest.raises(MDGenError, match="no pieces"):
        exploration.kinetics()
    with pytest.raises(MDGenError, match="atoms"):
        exploration.round(generated.atom_slice([0, 1, 2]))
    with pytest.raises(MDGenError, match="generate more"):
        exploration.round(generated[:2])
    with pytest.raises(MDGenError, match="lagtime"):
        Exploration(
            swarm, tmp_path, Plan(runs=3, piece=0.4, frame_interval=0.04, settling=0.04, lagtime=0.08, n_microstates=4)
        )


class Samples:
    """A generator of independent samples: frames scattered about a structure, every third of them not valid."""

    frame_interval, temperature = None, 350.0

    def check(self, topology):
        pass

    def propagator(self, topology, positions):
        self.atom_indices, self.mean = np.arange(topology.getNumAtoms()), positions
        return self

    def segment(self, positions, seed):
        noise = np.random.default_rng(seed).normal(0, 0.01, (6, *self.mean.shape))
        return GeneratedSegment(self.mean + noise, np.arange(6) % 3 != 1, "every third sample is broken")

    def state(self):
        return {}

    def restore(self, state):
        pass


class Steps(Samples):
    """The same as a walk, of which what follows a frame that is not valid cannot be used."""

    frame_interval = 2.0

    def segment(self, positions, seed):
        noise = np.random.default_rng(seed).normal(0, 0.01, (6, *self.mean.shape))
        return GeneratedSegment(positions + noise.cumsum(axis=0), np.arange(6) < 4, "the walk ends")


class Broken(Samples):
    def segment(self, positions, seed):
        return GeneratedSegment(np.zeros((3, *self.mean.shape)), np.zeros(3, dtype=bool), "all atoms lie at one place")


def test_samples_without_times_start_an_exploration_and_have_no_kinetics(swarm, tmp_path):
    topology, positions = peptide("AG")
    samples = generated_frames(Samples(), topology, positions, 10, seed=3)
    assert samples.n_frames == 10 and not samples.time.any()
    for k, index in enumerate((0, 2, 3, 5)):
        expected = Samples().propagator(topology, positions).segment(None, segment_seed(3, 0)).frames[index]
        np.testing.assert_allclose(samples.xyz[k], expected, atol=1e-6)
    with pytest.raises(UndefinedError, match="samples without times"):
        Kinetics.of([measure(samples).torsions], lagtime=1.0)
    for folder, frames in ((tmp_path / "trajectory", samples), (tmp_path / "array", samples.xyz)):
        exploration = Exploration(swarm, folder, TINY)
        exploration.round(frames)
        assert exploration.n_rounds == 1
    with pytest.raises(MDGenError, match=r"shape \(10, 3\)"):
        Exploration(swarm, tmp_path / "none", TINY).round(samples.xyz[:, 0])


def test_frames_in_order_continue_the_last_that_is_valid():
    topology, positions = peptide("AG")
    walk = generated_frames(Steps(), topology, positions, 7, seed=1)
    np.testing.assert_allclose(walk.time, 2.0 * np.arange(1, 8))
    again = Steps().propagator(topology, positions)
    first = again.segment(positions, segment_seed(1, 0)).frames[:4]
    second = again.segment(first[-1], segment_seed(1, 1)).frames[:3]
    np.testing.assert_allclose(walk.xyz, np.concatenate([first, second]), atol=1e-6)
    with pytest.raises(GenerationError, match="10 segments in a row.*all atoms lie at one place"):
        generated_frames(Broken(), topology, positions, 1)


@pytest.mark.slow
def test_workers_share_the_runs(generated):
    """Two processes; each run begins where it should, and no two are alike."""
    topology, positions = peptide("AG")
    ended: list[int] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        runs = SharedRuns(client, topology, positions, n_places=2, platform="Reference")
        starts = runs.relaxed(generated.xyz[:5])
        found = runs.run(starts, n_frames=3, frame_interval=0.04, progress=ended.append)
    assert sum(ended) == 5 and [len(piece) for piece in found] == [3] * 5
    for start, piece in zip(starts, found, strict=True):
        assert np.abs(piece[0] - (start - start.mean(0))).max() < 0.1
    assert min(np.abs(a - b).max() for k, a in enumerate(found) for b in found[:k]) > 1e-4
