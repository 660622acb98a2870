"""Paths and upsampling with small untrained networks: what is given comes out as given, whatever the network does."""

import mdtraj
import numpy as np
import pytest
import torch
from openmm import LangevinMiddleIntegrator, Platform, app, unit

from models import INFO, small_flow, small_forward_flow
from openmm_mdgen.errors import CheckpointError, MDGenError, StateError, UnsupportedTopologyError
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.model.tasks import ForwardSimulation, Interpolation, Upsampling

FACTOR, FINE = 3, 0.5  # ps between generated frames; given ones are 1.5 ps apart
CPU = torch.device("cpu")


def generator_for(task, *, n_frames, frame_interval=10.0, backbone="torsions"):
    flow = small_forward_flow() if isinstance(task, ForwardSimulation) else small_flow(task)
    info = ModelInfo("small", n_frames, frame_interval, 350.0, backbone=backbone)
    return TrajectoryGenerator(flow.eval().requires_grad_(False), info, Euler(4), CPU)


@pytest.fixture(scope="module")
def dynamics():
    """Real MD of a peptide with proline, methyls, an ammonium and a hydroxyl group: topology, (26, n, 3) nm."""
    topology, positions = build_peptide("KPVT", seed=3)
    integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 1 / unit.picosecond, 0.004 * unit.picosecond)
    integrator.setRandomNumberSeed(1)
    platform = Platform.getPlatformByName("CPU")
    simulation = app.Simulation(topology, implicit_system(topology), integrator, platform, {"Threads": "1"})
    simulation.context.setPositions(positions)
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(350 * unit.kelvin, 1)
    frames = []
    for _ in range(26):
        simulation.step(375)
        state = simulation.context.getState(positions=True)
        frames.append(np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)))
    return topology, np.array(frames)


@pytest.fixture(scope="module")
def trajectory(dynamics):
    topology, frames = dynamics
    return mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology), time=np.arange(len(frames)) * FACTOR * FINE)


@pytest.fixture(scope="module", params=["torsions", "rigids", "fitted"])
def interpolator(request):
    return generator_for(Interpolation(), n_frames=6, backbone=request.param)


@pytest.fixture(scope="module")
def upsampler():
    return generator_for(Upsampling(FACTOR), n_frames=4 * FACTOR + 1, frame_interval=FINE)


def superposed(points, reference):
    """Independent of the package: mdtraj's superposition."""
    top = mdtraj.Topology()
    residue = top.add_residue("X", top.add_chain())
    for _ in range(len(reference)):
        top.add_atom("C", mdtraj.element.carbon, residue)
    return mdtraj.Trajectory(points.copy(), top).superpose(mdtraj.Trajectory(reference.copy(), top)).xyz[0]


def bond_lengths(topology, xyz):
    pairs = np.array([(a.index, b.index) for a, b in topology.bonds()])
    return np.linalg.norm(xyz[..., pairs[:, 0], :] - xyz[..., pairs[:, 1], :], axis=-1)


def test_both_ends_of_every_path_are_the_given_ones(interpolator, dynamics):
    topology, frames = dynamics
    paths = interpolator.interpolate(topology, frames[0], frames[-1], paths=3, seed=2)
    assert [p.n_frames for p in paths] == [6, 6, 6]
    for path in paths:
        assert path.n_atoms == topology.getNumAtoms()
        np.testing.assert_allclose(path.xyz[0], frames[0], atol=1e-6)
        np.testing.assert_allclose(superposed(path.xyz[-1], frames[-1]), frames[-1], atol=2e-5)
        np.testing.assert_allclose(path.time, np.arange(6) * 10.0)
    assert np.abs(paths[0].xyz[1:-1] - paths[1].xyz[1:-1]).max() > 1e-3


def test_bonds_keep_their_lengths_all_along_a_path(dynamics):
    """Between its lengths in the two ends, as the chain is built of torsions; two builds mixed are a chord for an arc.

    That chord is seen to take at most 0.0054 nm, the size of thermal vibration. Proline's ring bends.
    """
    topology, frames = dynamics
    paths = generator_for(Interpolation(), n_frames=6).interpolate(topology, frames[0], frames[-1], paths=60, seed=4)
    lengths = bond_lengths(topology, np.concatenate([path.xyz for path in paths]))
    ends = bond_lengths(topology, frames[[0, -1]])
    low, high = ends.min(axis=0) - 0.006, ends.max(axis=0) + 0.001
    for bond, (a, b) in enumerate(topology.bonds()):
        slack = 0.012 if a.residue.name == "PRO" else 0.0
        assert (lengths[:, bond] > low[bond] - slack).all() and (lengths[:, bond] < high[bond] + slack).all(), (a, b)


def test_paths_of_a_batch_do_not_depend_on_how_many_there_are(interpolator, dynamics):
    topology, frames = dynamics
    many = interpolator.interpolate(topology, frames[0], frames[9], paths=3, seed=5)
    again = interpolator.interpolate(topology, frames[0], frames[9], paths=1, seed=5)
    np.testing.assert_allclose(many[0].xyz, again[0].xyz, atol=1e-4)


def test_ends_may_be_files_or_frames_in_another_order_of_atoms(interpolator, dynamics, trajectory, tmp_path):
    topology, frames = dynamics
    first, last = trajectory.xyz[2], frames[7].round(4)  # as a trajectory and a PDB file hold them
    plain = interpolator.interpolate(topology, first, last, seed=1)[0]
    with open(tmp_path / "end.pdb", "w") as file:
        app.PDBFile.writeFile(topology, frames[7] * unit.nanometer, file)
    from_file = interpolator.interpolate(topology, trajectory[2], tmp_path / "end.pdb", seed=1)[0]
    np.testing.assert_allclose(from_file.xyz, plain.xyz, atol=1e-4)


@pytest.mark.parametrize("n_given", [2, 5, 8, 26])
def test_given_frames_come_out_as_given_and_others_between_them(upsampler, trajectory, n_given):
    fine = upsampler.upsample(trajectory[:n_given], FACTOR, seed=1)
    assert fine.n_frames == (n_given - 1) * FACTOR + 1
    np.testing.assert_array_equal(fine.xyz[::FACTOR], trajectory.xyz[:n_given])
    np.testing.assert_allclose(fine.time, np.arange(fine.n_frames) * FINE, atol=1e-4)
    assert np.isfinite(fine.xyz).all()


def off_the_line(fine):
    """(n,) distance of each frame's centre from the straight line between the centres of the given frames around it."""
    centres = fine.xyz.astype(float).mean(axis=1)
    at = np.arange(len(centres)) / FACTOR
    line = np.stack([np.interp(at, at[::FACTOR], x) for x in centres[::FACTOR].T], axis=1)
    return np.linalg.norm(centres - line, axis=1)


def test_upsampled_frames_follow_a_molecule_that_tumbles_and_drifts(upsampler, trajectory):
    """Poses between two given frames lie between theirs: the same motion comes out of frames in any other pose."""
    from scipy.spatial.transform import Rotation

    n = 9
    still = trajectory[:n]
    turns = Rotation.from_rotvec(np.linspace(0, 2, n)[:, None] * [0.5, 0.2, -0.7]).as_matrix()
    centres = still.xyz.mean(axis=1, keepdims=True)
    moved = (still.xyz - centres) @ turns.transpose(0, 2, 1) + centres + np.linspace(0, 30, n)[:, None, None]
    moving = mdtraj.Trajectory(moved, still.topology, time=still.time)
    fine, fine_moving = upsampler.upsample(still, seed=3), upsampler.upsample(moving, seed=3)
    for frame, expected in zip(fine_moving.xyz, fine.xyz, strict=True):
        np.testing.assert_allclose(superposed(frame, expected), expected, atol=1e-3)
    np.testing.assert_allclose(off_the_line(fine_moving), off_the_line(fine), atol=5e-4)


def test_windows_meet_without_a_seam(upsampler, trajectory):
    """Jumps at borders of windows are like those elsewhere: 4 intervals a window, borders at every fourth key."""
    xyz = upsampler.upsample(trajectory, seed=2).xyz
    jumps = np.linalg.norm(np.diff(xyz, axis=0), axis=-1).mean(axis=-1)
    at_key = np.arange(FACTOR, len(jumps), FACTOR)
    borders = at_key[(at_key // FACTOR) % 4 == 0]
    inner = np.setdiff1d(at_key, borders)
    around = lambda keys: np.concatenate([jumps[keys], jumps[keys - 1]])  # noqa: E731
    assert around(borders).max() < 1.5 * around(inner).max()
    assert abs(around(borders).mean() / around(inner).mean() - 1) < 0.25


def test_a_seed_gives_the_same_frames_again(upsampler, trajectory):
    first, again, other = (upsampler.upsample(trajectory[:6], seed=s).xyz for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_published_windows_without_a_closing_key_are_used_up_to_their_last_key(trajectory):
    generator = generator_for(Upsampling(FACTOR), n_frames=4 * FACTOR, frame_interval=FINE)  # keys at 0, 3, 6, 9
    fine = generator.upsample(trajectory, seed=1)
    np.testing.assert_array_equal(fine.xyz[::FACTOR], trajectory.xyz)


def mirrored(frames):
    return frames * [1, 1, -1]


def torn(frames):
    frames = frames.copy()
    frames[len(frames) // 2 :] += 3.0
    return frames


@pytest.mark.parametrize("which", [0, 1], ids=["start", "end"])
@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (mirrored, UnsupportedTopologyError, "mirrored"),
        (torn, StateError, "image_molecules"),
        (lambda frame: frame * np.nan, StateError, "not finite"),
        (lambda frame: frame[:-1], StateError, "positions of every atom"),
        (lambda frame: frame * unit.kelvin, MDGenError, "no length"),
        (lambda frame: "nowhere.pdb", MDGenError, "no such file"),
    ],
    ids=["mirrored", "torn", "nan", "short", "quantity", "file"],
)
def test_an_end_that_cannot_be_used_is_refused(interpolator, dynamics, which, spoil, error, says):
    topology, frames = dynamics
    ends = [frames[0], frames[5]]
    ends[which] = spoil(ends[which])
    with pytest.raises(error, match=says):
        interpolator.interpolate(topology, *ends)


def test_ends_of_two_molecules_are_refused(interpolator, dynamics):
    topology, frames = dynamics
    other, positions = build_peptide("KPVS", seed=1)
    end = mdtraj.Trajectory(positions.value_in_unit(unit.nanometer), mdtraj.Topology.from_openmm(other))
    with pytest.raises(UnsupportedTopologyError, match="THR"):
        interpolator.interpolate(topology, frames[0], end)


def test_several_frames_are_no_end(interpolator, dynamics, trajectory):
    with pytest.raises(MDGenError, match="trajectory\\[0\\]"):
        interpolator.interpolate(dynamics[0], dynamics[1][0], trajectory)


@pytest.mark.parametrize("duration", [10.0, 45.0, 47.5, 100.0])
def test_durations_far_from_that_of_the_weights_are_refused(interpolator, dynamics, duration):
    topology, frames = dynamics
    with pytest.raises(MDGenError, match="50 ps"):
        interpolator.interpolate(topology, frames[0], frames[1], duration=duration + 1)


def test_frames_too_far_apart_are_refused_with_the_interval_that_works(upsampler, trajectory):
    with pytest.raises(MDGenError, match="1.5 ps"):
        upsampler.upsample(trajectory[::2])
    assert upsampler.upsample(trajectory[::2], frame_interval=1.5).n_frames == 12 * FACTOR + 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t[:1], "at least two"),
        (lambda t: t[[0, 1, 3]], "evenly"),
        (lambda t: mdtraj.Trajectory(t.xyz * np.nan, t.topology, t.time), "not finite"),
        (lambda t: mdtraj.Trajectory(np.array([torn(x) for x in t.xyz]), t.topology, t.time), "frame 0"),
    ],
    ids=["one frame", "uneven", "nan", "torn"],
)
def test_a_trajectory_that_cannot_be_filled_is_refused(upsampler, trajectory, change, says):
    with pytest.raises(MDGenError, match=says):
        upsampler.upsample(change(trajectory))


def test_another_factor_is_refused(upsampler, trajectory):
    with pytest.raises(MDGenError, match="upsample by 3"):
        upsampler.upsample(trajectory, 10)


def test_weights_of_another_task_are_refused(interpolator, upsampler, dynamics, trajectory):
    topology, frames = dynamics
    forward = generator_for(ForwardSimulation(), n_frames=INFO.n_frames)
    for call, needed in [
        (lambda: upsampler.interpolate(topology, frames[0], frames[1]), "interpolation"),
        (lambda: forward.interpolate(topology, frames[0], frames[1]), "interpolation"),
        (lambda: interpolator.upsample(trajectory), "upsampling"),
        (lambda: interpolator.rollout(topology, frames[0], n_frames=2), "forward simulation"),
        (lambda: interpolator.inpaint(trajectory), "inpainting"),
    ]:
        with pytest.raises(CheckpointError, match=f"needs weights for {needed}"):
            call()


def test_weights_that_do_not_come_with_the_package_are_named(monkeypatch):
    monkeypatch.setattr("openmm_mdgen.model.checkpoints.bundled", lambda: [])
    with pytest.raises(CheckpointError, match="upsampling_tetrapeptide.*openmm-mdgen train"):
        TrajectoryGenerator.load(task="upsampling")
