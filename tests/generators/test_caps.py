"""Generating for capped peptides: by weights that know caps, and by those that never saw one."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import INFO, NEAR_KEY_FRAME, SMALL, random_flow, small_flow
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import SOLVERS
from openmm_mdgen.model.tasks import ForwardSimulation, Interpolation
from openmm_mdgen.model.tokens import Tokenizer
from structures import atom_named, capped_peptide, dihedrals

OMEGA, PHI = (("CH3", "C", "N", "CA"), (0, 0, 1, 1)), (("C", "N", "CA", "C"), (0, 1, 1, 1))


def turns(topology, positions):
    """Omega and phi that the cap defines, radian, (T, 2)."""
    quadruples = [
        [atom_named(topology, k, name).index for name, k in zip(names, residues, strict=True)]
        for names, residues in (OMEGA, PHI)
    ]
    return dihedrals(np.asarray(positions, dtype=np.float64), quadruples)


def forward(termini):
    network = NetworkConfig(**SMALL, position_embedding=False, termini=termini)
    flow = random_flow(FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()), scale=0.05)
    return TrajectoryGenerator(flow, INFO, SOLVERS["euler"](3), torch.device("cpu"))


@pytest.mark.parametrize("sequence", ["A", "AK", "AKL"])
def test_weights_that_know_caps_move_them_without_a_word(sequence):
    topology, positions = capped_peptide(sequence)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = forward(termini=True).rollout(topology, positions, 12, seed=3)
    assert made.n_frames == 12 and made.n_atoms == topology.getNumAtoms()
    moved = turns(topology, made.xyz)
    assert np.ptp(moved, axis=0).min() > 1e-3
    lengths = [np.linalg.norm(made.xyz[:, a.index] - made.xyz[:, b.index], axis=-1) for a, b in topology.bonds()]
    own = [np.linalg.norm(positions[a.index] - positions[b.index]) for a, b in topology.bonds()]
    np.testing.assert_allclose(np.array(lengths), np.broadcast_to(np.array(own)[:, None], (len(own), 12)), atol=2e-5)


def test_other_weights_keep_what_the_cap_defines_and_say_so_once():
    topology, positions = capped_peptide("AKL")
    generator = forward(termini=False)
    with pytest.warns(
        UserWarning, match="'small' were trained on .*carries ACE and NME: omega and phi of .*ALA"
    ) as told:
        made = generator.rollout(topology, positions, 12, seed=3)
    assert len([w for w in told if "free ends" in str(w.message)]) == 1
    kept = turns(topology, made.xyz) - turns(topology, positions)
    assert np.abs(np.sin(kept / 2)).max() < 1e-4
    assert np.ptp(made.xyz, axis=0).max() > 0.01, "the rest moves"
    free, start = capped_peptide("AKL", None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generator.rollout(free, start, 3)


def test_paths_of_such_weights_end_where_they_should():
    topology, start = capped_peptide("AKLV")
    _, end = capped_peptide("AKLV", seed=4)
    flow = small_flow(Interpolation())
    info = replace(INFO, n_frames=6)
    generator = TrajectoryGenerator(flow, info, SOLVERS["euler"](3), torch.device("cpu"))
    with pytest.warns(UserWarning, match="free ends"):
        (path,) = generator.interpolate(topology, start, end)
    ends = turns(topology, np.stack([start, end]))
    found = turns(topology, path.xyz)
    assert np.abs(np.sin((found[[0, -1]] - ends) / 2)).max() < 1e-4
    steps = np.abs(np.sin(np.diff(found, axis=0) / 2)).max(axis=0)
    assert (steps < 0.3 * np.abs(np.sin((ends[1] - ends[0]) / 2)).max() + 0.2).all()
