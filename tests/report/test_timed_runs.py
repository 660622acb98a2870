"""Runs against the clock: any generator of the protocol, replicas apart, lengths and times that belong together."""

import mdtraj
import numpy as np
import openmm
import pytest

from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.undefined import UndefinedError
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.exploration import Kinetics
from openmm_mdgen.report import timed_exploration
from openmm_mdgen.report.timed_exploration import explore
from openmm_mdgen.report.timed_runs import MD_INTERVAL, PackedMD, RealMD, generate, known_interval
from structures import peptide
from torsion_walks import place, walk


class Walker:
    """A generator of another kind, which draws one replica at a time: chosen atoms take normal steps of 0.01 nm."""

    temperature = 300.0

    def __init__(self, frame_interval, atom_indices):
        self.frame_interval, self.atom_indices = frame_interval, np.array(atom_indices)

    def check(self, topology):
        pass

    def propagator(self, topology, positions):
        return self

    def segment(self, positions, seed):
        steps = np.random.default_rng(seed).normal(0, 0.01, (3, len(self.atom_indices), 3))
        return positions[self.atom_indices] + steps.cumsum(axis=0)

    def state(self):
        return {}

    def restore(self, state):
        pass


def test_a_generator_of_the_protocol_alone_is_timed_replica_by_replica():
    topology, positions = peptide("GAG")
    walker = Walker(2.0, [0, 4, 5])
    run = generate(walker, 2.0, topology, positions, 0.05, replicas=3, seed=4)
    assert run.seconds >= 0.05 and len(run.trajectories) == 3
    (length,) = {trajectory.n_frames for trajectory in run.trajectories}
    assert length % 3 == 0 and run.nanoseconds == pytest.approx(3 * length * 2.0 / 1000)
    names = [atom.name for atom in mdtraj.Topology.from_openmm(topology).atoms]
    for trajectory in run.trajectories:
        assert [atom.name for atom in trajectory.topology.atoms] == [names[k] for k in (0, 4, 5)]
        steps = np.diff(trajectory.xyz, axis=0, prepend=positions[None, walker.atom_indices])
        assert 0.005 < steps.std() < 0.015  # each replica goes on from its own last frame
    assert not np.array_equal(run.trajectories[0].xyz, run.trajectories[1].xyz)


def test_independent_samples_have_no_speed():
    with pytest.raises(MDGenError, match="independent samples.*--time needs one"):
        known_interval(Walker(None, [0]), "--time")


def test_real_md_goes_on_where_it_stopped():
    topology, positions = peptide("GAG")
    md = RealMD(topology, positions, 300.0, None, seed=0)
    first, second = md.run(0.05), md.run(0.05)
    step = np.linalg.norm(second.trajectories[0].xyz[0] - first.trajectories[0].xyz[-1], axis=-1)
    assert 0 < step.mean() < 0.2 and first.trajectories[0].topology.n_atoms == len(positions)
    assert first.nanoseconds == pytest.approx(first.trajectories[0].n_frames * MD_INTERVAL / 1000)
    assert md.platform


class Scattered(Walker):
    """Frames about a structure, whose bonds are off by up to a fifth."""

    def __init__(self, structure):
        super().__init__(2.0, np.arange(len(structure)))
        self.structure = structure

    def segment(self, positions, seed):
        return self.structure + np.random.default_rng(seed).normal(0, 0.01, (3, *self.structure.shape))


@pytest.fixture(scope="module")
def packed():
    topology, positions = peptide("AG")
    platform = openmm.Platform.getPlatformByName("Reference")
    md = PackedMD(topology, positions, 300.0, platform, copies=3, seed=0)
    yield md
    md.swarm.close()


def test_copies_go_on_where_they_stopped_and_part(packed):
    first, second = packed.run(0.05), packed.run(0.05)
    assert len(first.trajectories) == 3 and packed.told == "3 copies in 1 process"
    assert first.nanoseconds == pytest.approx(sum(t.n_frames for t in first.trajectories) * MD_INTERVAL / 1000)
    steps = [
        mdtraj.rmsd(now, before, before.n_frames - 1)[0]
        for before, now in zip(first.trajectories, second.trajectories, strict=True)
    ]
    assert 0 < min(steps) and max(steps) < 0.25
    one, two, three = (run.trajectories[0].xyz[0] for run in (first, second, first))
    assert np.abs(one - two).max() > 1e-4 and np.array_equal(one, three)
    assert np.abs(first.trajectories[0].xyz[0] - first.trajectories[1].xyz[0]).max() > 1e-4


def test_an_exploration_takes_generated_starts_and_gives_frames_of_real_md(packed, monkeypatch):
    options = {"MD_INTERVAL": 0.04, "_SETTLING": 0.12, "_SHORTEST_PIECE": 0.2, "_SHARE_OF_GENERATION": 0.001}
    for name, value in options.items():
        monkeypatch.setattr(timed_exploration, name, value)
    topology, positions = peptide("AG")
    scattered = Scattered(positions)
    found = explore(scattered, packed, positions, 60.0, replicas=2, md=3 * 3e-5, seed=1)  # 0.03 ps a second of each run
    (length,) = {piece.n_frames for piece in found.as_it_is.trajectories}
    assert len(found.as_it_is.trajectories) == 3 and 30 <= length <= 40  # 1.7 ps less the settling
    assert found.as_it_is.nanoseconds == pytest.approx(3 * length * 0.04 / 1000)
    (frames,) = found.weighted.trajectories
    assert frames.n_frames == 3 * length and not frames.time.any()
    assert found.weighted.seconds == found.as_it_is.seconds > 0.06
    real = {frame.tobytes() for piece in found.as_it_is.trajectories for frame in piece.xyz}
    assert all(frame.tobytes() in real for frame in frames.xyz)
    lengths = mdtraj.compute_distances(frames, [(b[0].index, b[1].index) for b in frames.topology.bonds])
    assert np.abs(lengths / lengths.mean(axis=0) - 1).max() < 0.3  # unlike what was generated, these are molecules
    with pytest.raises(UndefinedError, match="0.1 s are too short"):
        explore(scattered, packed, positions, 0.1, replicas=2, md=1e-6, seed=1)
    with pytest.raises(UndefinedError, match="ps of MD from generated frames are too few"):
        explore(scattered, packed, positions, 0.1, replicas=2, md=1.0, seed=1)  # a speed that is not reached
    with pytest.raises(UndefinedError, match="frames of all atoms"):
        explore(Walker(2.0, [0, 4]), packed, positions, 0.1, replicas=2, md=1.0, seed=1)


def test_frames_are_drawn_as_often_as_their_weights_say():
    """Runs that all start in one state, which is rare: drawn frames have the populations of equilibrium."""
    pieces = [place("VSA", walk(300, seed)) for seed in range(12)]
    series = [measure(piece).torsions for piece in pieces]
    kinetics = Kinetics.of(series, lagtime=10.0, n_microstates=12)
    drawn = measure(timed_exploration._in_equilibrium(kinetics, pieces, 0)).torsions
    assert drawn.n_frames == 3600

    def share(one):
        return one["PSI 0 VAL 1"] > 0.8

    assert share(drawn).mean() == pytest.approx(kinetics.population(share).value, abs=2e-3)
