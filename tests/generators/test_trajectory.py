"""The generator without a Simulation, with a small untrained network: everything but the quality of its motion."""

from pathlib import Path

import numpy as np
import pytest
import torch
from openmm import LangevinMiddleIntegrator, Platform, unit

from models import INFO, NEAR_KEY_FRAME, SMALL, random_flow, small_forward_flow
from openmm_mdgen.errors import CheckpointError, MDGenError, StateError, UnsupportedTopologyError
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import ForwardSimulation, Upsampling
from openmm_mdgen.model.tokens import Tokenizer
from openmm_mdgen.protocol import Generator, Propagator
from openmm_mdgen.seeds import segment_seed
from openmm_mdgen.simulation.drop_in import MDGenSimulation


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    return path


@pytest.fixture(scope="module")
def generator(weights):
    return TrajectoryGenerator.load(weights, device="cpu")


def peptide(sequence, seed=0):
    topology, positions = build_peptide(sequence, seed=seed)
    return topology, np.array(positions.value_in_unit(unit.nanometer))


@pytest.fixture(scope="module")
def molecule():
    return peptide("APLV")


def test_it_satisfies_the_protocol(generator, molecule):
    assert isinstance(generator, Generator)
    assert isinstance(generator.propagator(*molecule), Propagator)


def test_a_rollout_has_new_frames_only_and_their_times(generator, molecule):
    trajectory = generator.rollout(*molecule, n_frames=12, seed=1)
    assert trajectory.n_frames == 12
    np.testing.assert_allclose(trajectory.time, np.arange(1, 13) * 10.0)
    assert trajectory.n_atoms == len(molecule[1])
    assert np.isfinite(trajectory.xyz).all()
    assert np.abs(trajectory.xyz[0] - molecule[1]).max() > 1e-3


def test_equal_seeds_give_equal_frames_and_others_do_not(generator, molecule):
    first, again, other = (generator.rollout(*molecule, n_frames=7, seed=s).xyz for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_shorter_rollout_is_the_beginning_of_a_longer_one(generator, molecule):
    short, long = (generator.rollout(*molecule, n_frames=n, seed=5).xyz for n in (8, 14))
    assert np.array_equal(short, long[:8])


def test_replicas_in_one_batch_are_the_trajectories_of_their_own_seeds(generator, molecule):
    replicas = generator.rollouts(*molecule, n_frames=5, replicas=3, seed=9)
    assert len(replicas) == 3
    alone = generator.rollout(*molecule, n_frames=5, seed=9)
    np.testing.assert_allclose(replicas[0].xyz, alone.xyz, atol=1e-4)
    assert np.abs(replicas[0].xyz - replicas[1].xyz).max() > 1e-3


def test_a_simulation_of_the_same_seed_makes_the_same_frames(generator, molecule):
    topology, positions = molecule
    integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 1 / unit.picosecond, 0.002 * unit.picosecond)
    simulation = MDGenSimulation(
        topology,
        implicit_system(topology),
        integrator,
        Platform.getPlatformByName("Reference"),
        generator=generator,
        seed=9,
    )
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy(maxIterations=50)
    start = simulation.context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    simulation.step(6 * 5000)
    state = simulation.context.getState(positions=True)
    relaxed = (
        simulation._advance.rollout.propagator.template
    )  # bond lengths and angles come from a structure relaxed further
    propagator = generator.propagator(topology, start)
    propagator.restore(relaxed.state())
    first = propagator.segment(start, seed=segment_seed(9, 0, 0))
    second = propagator.segment(first[-1], seed=segment_seed(9, 1, 0))
    found = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    np.testing.assert_allclose(found, second[0], atol=1e-6)


def test_a_stream_never_holds_more_than_a_segment(generator, molecule):
    sizes = [chunk.shape for chunk in generator.stream(*molecule, n_frames=13, replicas=2)]
    assert [s[1] for s in sizes] == [5, 5, 3]
    assert {(s[0], s[2]) for s in sizes} == {(2, len(molecule[1]))}


def test_a_moved_start_gives_moved_frames(generator, molecule):
    """Far from the origin and turned: the same motion of the same molecule, to the precision of float32."""
    topology, positions = molecule
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    frames = generator.propagator(topology, positions).segment(positions, seed=2)
    moved = positions @ turn.T + 50.0
    again = generator.propagator(topology, moved).segment(moved, seed=2)
    np.testing.assert_allclose(again, frames @ turn.T + 50.0, atol=2e-3)


def test_bonds_within_residues_and_proline_rings_keep_their_lengths(generator, molecule):
    topology, positions = molecule
    xyz = generator.rollout(topology, positions, n_frames=25, seed=3).xyz
    for bond in topology.bonds():
        i, j = bond.atom1.index, bond.atom2.index
        if bond.atom1.residue is not bond.atom2.residue:
            continue
        reference = np.linalg.norm(positions[i] - positions[j])
        lengths = np.linalg.norm(xyz[:, i] - xyz[:, j], axis=-1)
        assert np.abs(lengths - reference).max() < 0.0105, bond  # 0.01 nm is left to the ring of proline


def test_a_restored_propagator_generates_bit_for_bit(generator, molecule):
    topology, positions = molecule
    propagator = generator.propagator(topology, positions)
    frames = propagator.segment(positions, seed=11)
    other = generator.propagator(topology, frames[-1])  # measured on another structure
    other.restore(propagator.state())
    assert np.array_equal(other.segment(positions, seed=11), frames)


@pytest.mark.parametrize("solver, evaluations, spent", [("euler", 6, 6), ("heun", 8, 8), (None, 12, 12)])
def test_the_number_of_evaluations_is_an_option_and_is_reported(weights, molecule, solver, evaluations, spent):
    generator = TrajectoryGenerator.load(weights, device="cpu", ode_solver=solver, evaluations=evaluations)
    propagator = generator.propagator(*molecule)
    propagator.segment(molecule[1], seed=0)
    assert generator.evaluations == spent


def test_atoms_outside_the_chain_stay(generator):
    from openmm import Vec3, app

    topology, positions = build_peptide("AGLV", seed=0)
    modeller = app.Modeller(topology, positions)
    water = app.Topology()
    residue = water.addResidue("HOH", water.addChain())
    for name, element in (("O", "O"), ("H1", "H"), ("H2", "H")):
        water.addAtom(name, app.Element.getBySymbol(element), residue)
    modeller.add(water, [Vec3(3, 3, 3), Vec3(3.1, 3, 3), Vec3(3, 3.1, 3)] * unit.nanometer)
    xyz = np.array(modeller.positions.value_in_unit(unit.nanometer))
    propagator = generator.propagator(modeller.topology, xyz)
    assert len(propagator.atom_indices) == len(xyz) - 3
    assert generator.rollout(modeller.topology, xyz, n_frames=2).n_atoms == len(xyz) - 3


def test_a_chain_of_another_length_is_refused_with_the_length_that_works(generator):
    with pytest.raises(UnsupportedTopologyError, match="exactly 4"):
        generator.check(peptide("AAA")[0])


def test_positions_that_are_not_finite_are_refused(generator, molecule):
    positions = molecule[1].copy()
    positions[3] = np.nan
    with pytest.raises(StateError):
        generator.rollout(molecule[0], positions, n_frames=2)


def test_weights_for_another_task_are_refused(molecule, tmp_path):
    path = tmp_path / "up.safetensors"
    checkpoints.save(path, random_flow(FlowConfig(NetworkConfig(**SMALL), Tokenizer(), Upsampling(3))), INFO)
    with pytest.raises(CheckpointError, match="upsampling"):
        TrajectoryGenerator.load(path, task="forward_simulation")
    generator = TrajectoryGenerator.load(path)
    with pytest.raises(CheckpointError, match="upsampling"):
        generator.check(molecule[0])  # as a simulation does when it is made
    with pytest.raises(CheckpointError, match="upsampling"):
        generator.rollout(*molecule, n_frames=2)


def test_two_frame_weights_step(molecule, tmp_path):
    """The transition-density baseline: each segment is one new frame, and a chain of them is a trajectory."""
    network = NetworkConfig(**{**SMALL, "n_frames": 2})
    flow = random_flow(FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()), scale=0.05)
    checkpoints.save(tmp_path / "two.safetensors", flow, ModelInfo("two", 2, 10.0, 350.0))
    generator = TrajectoryGenerator.load(tmp_path / "two.safetensors", device="cpu", ode_solver="euler", evaluations=3)
    topology, positions = molecule
    trajectory = generator.rollout(topology, positions, n_frames=4, seed=3)
    assert trajectory.n_frames == 4 and generator.evaluations == 4 * 3
    propagator = generator.propagator(topology, positions)
    current = positions.copy()
    for index, frame in enumerate(trajectory.xyz):
        (current,) = propagator.segment(current, seed=segment_seed(3, index))
        np.testing.assert_allclose(current, frame, atol=1e-5)
    assert np.abs(np.diff(trajectory.xyz, axis=0)).max(axis=(1, 2)).min() > 1e-3


def test_a_device_that_is_not_there_is_refused(weights):
    if torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="cuda:99"):
            TrajectoryGenerator.load(weights, device="cuda:99")
    else:
        with pytest.raises(CheckpointError, match="cuda"):
            TrajectoryGenerator.load(weights, device="cuda")


@pytest.mark.parametrize(
    "options",
    [{"ode_solver": "leapfrog"}, {"ode_solver": "dopri5", "evaluations": 10}, {"ode_solver": "heun", "evaluations": 5}],
)
def test_impossible_solvers_are_refused(weights, options):
    with pytest.raises(MDGenError, match="ode_solver"):
        TrajectoryGenerator.load(weights, **options)


def test_a_network_that_breaks_down_is_not_passed_on(molecule, tmp_path):
    flow = small_forward_flow()
    with torch.no_grad():
        flow.network.emb_to_latent.linear.weight.mul_(1e30)
    checkpoints.save(tmp_path / "w.safetensors", flow, INFO)
    with pytest.raises(MDGenError, match="finite"):
        TrajectoryGenerator.load(tmp_path / "w.safetensors").rollout(*molecule, n_frames=2)


def test_a_published_checkpoint_simulates(molecule):
    """Untrained, so its frames are nonsense; but whole, finite and of the right shape and time."""
    path = Path(__file__).parent.parent / "data" / "fixtures" / "hyena.ckpt"
    generator = TrajectoryGenerator.load(path, device="cpu", ode_solver="euler", evaluations=10)
    assert generator.info.backbone == "fitted"
    trajectory = generator.rollout(*molecule, n_frames=12, seed=1)
    assert trajectory.n_frames == 12 and np.isfinite(trajectory.xyz).all()
    np.testing.assert_allclose(np.diff(trajectory.time), generator.frame_interval)
