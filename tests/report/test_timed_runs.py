"""Runs against the clock: any generator of the protocol, replicas apart, lengths and times that belong together."""

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.report.timed_runs import MD_INTERVAL, RealMD, generate, known_interval
from structures import peptide


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
