"""Training data and the training run itself, on a few picoseconds of real MD."""

import os
import signal
import subprocess
import sys
import time

import mdtraj
import numpy as np
import pytest
import torch
from openmm import LangevinMiddleIntegrator, LocalEnergyMinimizer, Platform, app, unit

from models import SMALL
from openmm_mdgen import checkpoints
from openmm_mdgen.checkpoints import ModelInfo
from openmm_mdgen.cli import main
from openmm_mdgen.data import Windows, read_folders, read_recording, read_sequences, superposed
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.generator import TrajectoryGenerator
from openmm_mdgen.network import NetworkConfig
from openmm_mdgen.structure import build_peptide, implicit_system
from openmm_mdgen.tasks import ForwardSimulation
from openmm_mdgen.tokens import Tokenizer
from openmm_mdgen.training import TrainingConfig, token_scales, train

INTERVAL = 0.04  # ps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tripeptides, 60 frames each."""
    path = tmp_path_factory.mktemp("md")
    for sequence in ("AGV", "SLA"):
        topology, positions = build_peptide(sequence)
        integrator = LangevinMiddleIntegrator(350 * unit.kelvin, 1 / unit.picosecond, 0.004 * unit.picosecond)
        integrator.setRandomNumberSeed(1)
        simulation = app.Simulation(
            topology, implicit_system(topology), integrator, Platform.getPlatformByName("Reference")
        )
        simulation.context.setPositions(positions)
        LocalEnergyMinimizer.minimize(simulation.context, maxIterations=100)
        frames = []
        for _ in range(60):
            simulation.step(10)
            state = simulation.context.getState(positions=True)
            frames.append(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        trajectory = mdtraj.Trajectory(
            np.array(frames), mdtraj.Topology.from_openmm(topology), time=np.arange(60) * INTERVAL
        )
        trajectory[0].save_pdb(str(path / f"{sequence}.pdb"))
        trajectory.save_xtc(str(path / f"{sequence}.xtc"))
    return path


TINY = TrainingConfig(
    steps=20, batch_size=4, n_frames=5, frame_interval=2 * INTERVAL, width=16, n_layers=1, n_heads=2, warmup_steps=5
)
INFO = ModelInfo("tiny", 5, 2 * INTERVAL, 350.0)


def test_recordings_carry_sequence_and_interval(folder):
    recordings = read_folders([folder])
    assert [r.sequence for r in recordings] == ["AGV", "SLA"]
    assert all(abs(r.interval - INTERVAL) < 1e-6 and r.frames.n_frames == 60 for r in recordings)


def test_excluded_sequences_are_left_out(folder, tmp_path):
    (tmp_path / "not.csv").write_text("name\nAGV\n")
    recordings = read_folders([folder], excluded=read_sequences(tmp_path / "not.csv"))
    assert [r.sequence for r in recordings] == ["SLA"]


def test_windows_are_stretches_of_the_trajectory_forward_or_backward(folder):
    recording = read_folders([folder], excluded=frozenset(["SLA"]))[0]
    windows = Windows([recording], n_frames=5, frame_interval=2 * INTERVAL)
    psi = recording.frames.torsions[0, :, 0, 2, 0]
    batch = windows.batch(16, np.random.default_rng(0))
    directions = set()
    for window in batch.torsions[:, :, 0, 2, 0]:
        first = int((psi - window[0]).abs().argmin())
        for sign in (1, -1):
            index = first + sign * 2 * torch.arange(5)
            if index.min() >= 0 and index.max() < 60 and torch.equal(psi[index], window):
                directions.add(sign)
    assert directions == {1, -1}


def test_windows_depend_on_the_seed_alone(folder):
    windows = Windows(read_folders([folder]), n_frames=5, frame_interval=INTERVAL)
    first, again, other = (windows.batch(4, np.random.default_rng(s)).torsions for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_superposition_takes_out_rigid_motion_only(folder):
    frames = read_folders([folder])[0].frames
    aligned = superposed(frames)
    relative = frames.rigids[..., :1].inverse() @ frames.rigids
    again = aligned.rigids[..., :1].inverse() @ aligned.rigids
    torch.testing.assert_close(again.translation, relative.translation, atol=1e-4, rtol=0)
    torch.testing.assert_close(aligned.rigids.rotation[:, 0], frames.rigids.rotation[:, 0], atol=1e-4, rtol=0)


def test_scaled_tokens_have_unit_variance(folder):
    windows = Windows(read_folders([folder]), n_frames=5, frame_interval=INTERVAL)
    flow = TrajectoryFlow(FlowConfig(NetworkConfig(**SMALL), Tokenizer(), ForwardSimulation()))
    shift, scale = token_scales(flow, windows, batches=8, seed=0)
    assert len(shift) == len(scale) == 21
    assert min(scale) > 0


@pytest.mark.slow
def test_a_killed_run_taken_up_again_ends_in_the_same_weights(folder, tmp_path):
    whole = train(read_folders([folder]), tmp_path / "whole", TINY, INFO, save_every=5, progress=False)
    script = (
        "import sys, tests_path; from test_training import *;"
        "train(read_folders([sys.argv[1]]), sys.argv[2], TINY, INFO, save_every=5, progress=False)"
    ).replace("tests_path", "os")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", script, folder, tmp_path / "cut"], env=environment)
    while not (tmp_path / "cut" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "weights.safetensors").exists(), "the run ended before it was killed"
    resumed = train(read_folders([folder]), tmp_path / "cut", TINY, INFO, save_every=5, progress=False)
    first, second = (checkpoints.load(path)[0].network.state_dict() for path in (whole, resumed))
    assert all(torch.equal(first[key], second[key]) for key in first)
    curves = [(tmp_path / run / "curve.csv").read_text() for run in ("whole", "cut")]
    assert curves[0] == curves[1] and len(curves[0].splitlines()) == 1 + TINY.steps


def test_bad_recordings_are_refused_by_file_name(folder, tmp_path):
    for suffix in ("pdb", "xtc"):
        (tmp_path / f"AGV.{suffix}").write_bytes((folder / f"AGV.{suffix}").read_bytes())
    (tmp_path / "AGV.xtc").write_bytes((folder / "AGV.xtc").read_bytes()[:1000])
    with pytest.raises(MDGenError, match=r"AGV\.xtc"):
        read_recording(tmp_path / "AGV.pdb", tmp_path / "AGV.xtc")
    with pytest.raises(MDGenError, match=r"SLA\.xtc"):
        read_recording(folder / "AGV.pdb", folder / "SLA.xtc")
    with pytest.raises(MDGenError, match="no NAME.pdb"):
        read_folders([tmp_path / "empty"])


def test_windows_that_do_not_fit_are_refused(folder):
    recordings = read_folders([folder])
    with pytest.raises(MDGenError, match="record more"):
        Windows(recordings, n_frames=61, frame_interval=INTERVAL)
    with pytest.raises(MDGenError, match="not a multiple"):
        Windows(recordings, n_frames=5, frame_interval=1.5 * INTERVAL)


@pytest.mark.slow
def test_the_command_trains_weights_that_generate(folder, tmp_path, monkeypatch, capsys):
    options = "--steps 2 --batch-size 2 --frames 5 --frame-interval 0.08 --width 16 --layers 1 --heads 2 --name mine"
    arguments = ["openmm-mdgen", "train", str(folder), "--out", str(tmp_path / "run"), *options.split()]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 0
    assert "2 trajectories" in capsys.readouterr().out
    generator = TrajectoryGenerator.load(tmp_path / "run" / "weights.safetensors", device="cpu")
    assert generator.info.name == "mine" and generator.info.about["sequences"] == ["AGV", "SLA"]
    topology, positions = build_peptide("GAS")
    assert generator.rollout(topology, positions.value_in_unit(unit.nanometer), 6).n_frames == 6
