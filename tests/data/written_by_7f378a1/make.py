"""Writes the files beside it. It runs with the code of commit 7f378a1 only:

    git worktree add /tmp/old 7f378a1 && cd /tmp/old && pip install '.[test]'
    PYTHONPATH=tests OMP_NUM_THREADS=1 python HERE/make.py

Beside each file lies what that code made of it when it went on (`expected.npz`).
"""

import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import test_hybrid
import torch
from openmm_mdgen.checkpoints import ModelInfo
from openmm_mdgen.data.swarm import Swarm
from openmm_mdgen.flow import FlowConfig
from openmm_mdgen.network import NetworkConfig
from openmm_mdgen.structure import build_peptide
from openmm_mdgen.tasks import ForwardSimulation, Inpainting, Interpolation, Upsampling
from openmm_mdgen.tokens import Tokenizer
from openmm_mdgen.training.records import Checkpoints

from dipeptide import FRAME, Recorder, peptide, simulation_of
from models import NEAR_KEY_FRAME, SMALL, random_flow, small_flow
from openmm_mdgen import Alternate, TrajectoryGenerator, checkpoints
from openmm_mdgen.data import read_folders
from openmm_mdgen.exploration import Exploration, Plan
from openmm_mdgen.training import TrainingConfig, train
from torsion_walks import place, walk

HERE = Path(__file__).resolve().parent
INTERVAL = FRAME * 0.002  # ps, of a frame of the generating simulations
expected = {}


def weights():
    """Tiny random networks of all tasks; of the first one, for dipeptides, what it generates."""
    network = NetworkConfig(**SMALL, max_residues=2)
    forward = random_flow(FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()), scale=0.05)
    for name, flow in {
        "forward_simulation": forward,
        "interpolation": small_flow(Interpolation()),
        "upsampling": small_flow(Upsampling(5)),
        "inpainting": small_flow(Inpainting((1, 2))),
    }.items():
        info = ModelInfo("small", n_frames=6, frame_interval=INTERVAL, temperature=300.0, ode_solver="euler")
        checkpoints.save(HERE / f"{name}.safetensors", flow, info, dtype=torch.float16)
    topology, positions, _ = peptide()
    generator = TrajectoryGenerator.load(HERE / "forward_simulation.safetensors", device="cpu", evaluations=4)
    expected["rollout"] = generator.rollout(topology, np.array(positions._value), 8, seed=3).xyz

    given = place("VSAL", walk(6, 1), interval=INTERVAL)  # frames that the other tasks are given
    given[0].save_pdb(str(HERE / "given.pdb"))
    expected["given"] = given.xyz
    load = {task: HERE / f"{task}.safetensors" for task in ("interpolation", "upsampling", "inpainting")}
    models = {
        task: TrajectoryGenerator.load(path, task=task, device="cpu", evaluations=4) for task, path in load.items()
    }
    topology = given.topology.to_openmm()
    expected["path"] = models["interpolation"].interpolate(topology, given[0], given[5], seed=3)[0].xyz
    coarse = mdtraj.Trajectory(given.xyz[:3], given.topology, time=5 * INTERVAL * np.arange(3))
    expected["upsampled"] = models["upsampling"].upsample(coarse, seed=3).xyz
    designs = models["inpainting"].inpaint(given, samples=2, seed=3, frame_interval=INTERVAL)
    expected["designed"] = np.array([design.sequence for design in designs])
    expected["design"] = designs[0].trajectory.xyz


def generating():
    """A run by the tiny weights, left inside its second segment of five frames."""
    generator = TrajectoryGenerator.load(HERE / "forward_simulation.safetensors", device="cpu", evaluations=4)
    simulation = simulation_of(generator)
    simulation.step(7 * FRAME)
    simulation.saveCheckpoint(str(HERE / "generating.chk"))
    simulation.saveState(str(HERE / "generating.xml"))
    recorder = Recorder(FRAME)
    simulation.reporters.append(recorder)
    simulation.step(5 * FRAME)
    expected["generating"] = recorder.positions()


def hybrid():
    """A hybrid run, left at a generated frame inside a segment that has been landed already."""
    test_hybrid.quick()
    schedule = Alternate(integrate=3 * INTERVAL, generate=4 * INTERVAL)
    simulation = test_hybrid.hybrid(test_hybrid.Says(False, True), schedule=schedule, seed=7)
    simulation.step(12 * FRAME)
    simulation.saveCheckpoint(str(HERE / "hybrid.chk"))
    simulation.saveState(str(HERE / "hybrid.xml"))
    expected["hybrid_record"] = np.array(
        [(s.kind, s.start_step, s.steps, s.accepted) for s in simulation.segments], dtype=str
    )
    recorder = Recorder(FRAME)
    simulation.reporters.append(recorder)
    simulation.step(5 * FRAME)
    expected["hybrid"] = recorder.positions()


def reference_md():
    command = ["simulate", "AGV", "SLA", "--time", "6ps", "--frame-interval", "100fs", "--equilibration", "1ps"]
    command += ["--threads", "1", "--seed", "1", "--out", str(HERE / "md")]
    script = "from openmm_mdgen.cli import main; main()"
    subprocess.run([sys.executable, "-c", script, *command], check=True)


class Stop(Exception):
    pass


def training():
    """A run of eight steps, stopped after the fifth; and what the whole one gives."""
    config = TrainingConfig(
        steps=8,
        batch_size=4,
        n_frames=5,
        frame_interval=0.2,
        width=16,
        n_layers=1,
        n_heads=2,
        warmup_steps=2,
        ema_decay=0.9,
        validate_every=3,
    )
    one, other = read_folders([HERE / "md"])
    info = ModelInfo("tiny", 5, 0.2, 350.0)

    def run(folder):
        return train([one], folder, config, info, validation=[other], save_every=5, progress=False)

    whole = run(HERE / "whole")
    expected["curve"] = np.array((HERE / "whole" / "curve.csv").read_text())
    network = checkpoints.load(whole)[0].network
    expected["trained"] = torch.cat([p.detach().flatten() for p in network.parameters()]).numpy()
    for path in (HERE / "whole").iterdir():
        path.unlink()
    (HERE / "whole").rmdir()
    save = Checkpoints._save

    def save_and_stop(self, trainer):
        save(self, trainer)
        raise Stop

    Checkpoints._save = save_and_stop
    try:
        run(HERE / "training")
    except Stop:
        pass


def exploration():
    """One round."""
    topology, positions = build_peptide("AG", seed=1)
    positions = np.array(positions._value)
    swarm = Swarm(topology, positions, n_places=3, platform="Reference", seed=4)
    noise = np.random.default_rng(0).normal(0, 0.01, (6, *positions.shape))
    generated = mdtraj.Trajectory(positions + noise, mdtraj.Topology.from_openmm(topology))
    plan = Plan(runs=3, piece=0.4, settling=0.04, frame_interval=0.04, lagtime=0.04, n_microstates=4)
    kinetics = Exploration(swarm, HERE / "exploration", plan).round(generated)
    expected["pieces"] = np.array([piece.xyz for piece in Exploration(swarm, HERE / "exploration", plan).pieces])
    expected["weights"] = np.array(kinetics.weights)


for name in ("given.pdb", "md", "training", "exploration"):
    subprocess.run(["rm", "-rf", str(HERE / name)], check=True)
for step in (weights, generating, hybrid, reference_md, training, exploration):
    step()
for cache in HERE.glob("md/*/.openmm_mdgen"):
    subprocess.run(["rm", "-r", str(cache)], check=True)
np.savez_compressed(HERE / "expected.npz", **expected)
