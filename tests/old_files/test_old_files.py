"""Files that an earlier version wrote open, and go on to what that version itself made of them.

They lie in ``tests/data/written_by_7f378a1`` with the script that made them. Generated frames are compared to 1e-4 nm,
trained weights to the precision of their file, since another processor may round another way. Overlaps of atoms are
lifted otherwise since then: the frames in which there are any (of ``rollout``, ``path``, ``upsampled`` and
``generating``) were made anew by the first version that did so, and all others are still those of the earlier one.
"""

import csv
import io
import shutil
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import torch

from dipeptide import FRAME, STEP_SIZE, Recorder, peptide, simulation_of
from openmm_mdgen import Alternate, TrajectoryGenerator
from openmm_mdgen.data import read_folders
from openmm_mdgen.exploration import Exploration, Plan
from openmm_mdgen.md.production import MDProtocol, planned, simulate
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.simulation.gate import Verdict
from openmm_mdgen.training import TrainingConfig, train

FILES = Path(__file__).parent.parent / "data" / "written_by_7f378a1"
INTERVAL = FRAME * STEP_SIZE  # ps


@pytest.fixture(scope="module")
def expected():
    with np.load(FILES / "expected.npz") as archive:
        return dict(archive)


def weights(task="forward_simulation"):
    return TrajectoryGenerator.load(FILES / f"{task}.safetensors", task=task, device="cpu", evaluations=4)


@pytest.fixture(scope="module")
def given(expected):
    return mdtraj.Trajectory(expected["given"], mdtraj.load(str(FILES / "given.pdb")).topology)


def test_weights_of_forward_simulation(expected):
    topology, positions, _ = peptide()
    made = weights().rollout(topology, np.array(positions._value), 8, seed=3)
    np.testing.assert_allclose(made.xyz, expected["rollout"], atol=1e-4)


def test_weights_of_interpolation(given, expected):
    (path,) = weights("interpolation").interpolate(given.topology.to_openmm(), given[0], given[5], seed=3)
    np.testing.assert_allclose(path.xyz, expected["path"], atol=1e-4)


def test_weights_of_upsampling(given, expected):
    coarse = given[:3]
    coarse.time = 5 * INTERVAL * np.arange(3)
    made = weights("upsampling").upsample(coarse, seed=3)
    np.testing.assert_allclose(made.xyz, expected["upsampled"], atol=1e-4)


def test_weights_of_inpainting(given, expected):
    designs = weights("inpainting").inpaint(given, samples=2, seed=3, frame_interval=INTERVAL)
    assert [design.sequence for design in designs] == expected["designed"].tolist()
    np.testing.assert_allclose(designs[0].trajectory.xyz, expected["design"], atol=1e-4)


def frames_after(simulation, n_frames):
    recorder = Recorder(FRAME)
    simulation.reporters.append(recorder)
    simulation.step(n_frames * FRAME)
    return recorder.positions()


@pytest.mark.parametrize(("load", "suffix"), [("loadCheckpoint", "chk"), ("loadState", "xml")])
def test_a_simulation_inside_a_generated_segment(load, suffix, expected):
    simulation = simulation_of(weights(), positions=False, seed=0)
    getattr(simulation, load)(str(FILES / f"generating.{suffix}"))
    assert simulation.currentStep == 7 * FRAME and simulation.seed == 7
    assert len(simulation.segments) == 2
    np.testing.assert_allclose(frames_after(simulation, 5), expected["generating"], atol=1e-4)


class _TakesAll:
    retries = 0

    def judge(self, trial):
        return Verdict(True)


@pytest.mark.parametrize(("load", "suffix"), [("loadCheckpoint", "chk"), ("loadState", "xml")])
def test_a_hybrid_run_inside_a_segment_that_was_landed(load, suffix, expected):
    schedule = Alternate(integrate=3 * INTERVAL, generate=4 * INTERVAL)
    simulation = simulation_of(schedule=schedule, gate=_TakesAll(), positions=False, seed=0)
    getattr(simulation, load)(str(FILES / f"hybrid.{suffix}"))
    assert simulation.currentStep == 12 * FRAME
    record = [[str(x) for x in (s.kind, s.start_step, s.steps, s.accepted)] for s in simulation.segments]
    assert record == expected["hybrid_record"].tolist()
    generated, landed = expected["hybrid"][:2], expected["hybrid"][2:]
    found = frames_after(simulation, 5)
    np.testing.assert_allclose(found[:2], generated, atol=1e-6)
    # Random forces are part of a checkpoint, not of a state.
    np.testing.assert_allclose(found[2:], landed, atol=1e-6 if suffix == "chk" else 0.03)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_reference_md(tmp_path):
    shutil.copytree(FILES / "md", tmp_path / "md")
    one, other = read_folders([tmp_path / "md"])
    assert [(r.sequence, r.n_frames, r.interval) for r in (one, other)] == [
        ("AGV", 60, pytest.approx(0.1)),
        ("SLA", 60, pytest.approx(0.1)),
    ]
    before = contents(tmp_path / "md")
    protocol = MDProtocol(duration=6.0, frame_interval=0.1, equilibration=1.0)
    simulate(planned(["AGV", "SLA"], replicas=1, seed=1), tmp_path / "md", protocol)  # finished: nothing is to be done
    assert contents(tmp_path / "md") == before


def test_a_training_run_that_was_stopped(tmp_path, expected):
    for name in ("md", "training"):
        shutil.copytree(FILES / name, tmp_path / name)
    one, other = read_folders([tmp_path / "md"])
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
    info = ModelInfo("tiny", 5, 0.2, 350.0)
    folder = tmp_path / "training"
    target = train([one], folder, config, info, validation=[other], save_every=5, progress=False)

    rows, whole = (list(csv.DictReader(io.StringIO(text))) for text in (_curve(folder), str(expected["curve"])))
    assert [row["step"] for row in rows] == [str(k) for k in range(1, 9)]
    for found, first in zip(rows, whole, strict=True):
        assert float(found["loss"]) == pytest.approx(float(first["loss"]), rel=1e-4)
        assert bool(found["validation"]) == bool(first["validation"])
    assert (folder / "curve.csv").read_text().startswith((FILES / "training" / "curve.csv").read_text())
    network = checkpoints.load(target)[0].network
    trained = torch.cat([p.detach().flatten() for p in network.parameters()]).numpy()
    np.testing.assert_allclose(trained, expected["trained"], atol=1e-5, rtol=1e-3)  # float16 on disk


def _curve(folder):
    return (folder / "curve.csv").read_text()


def test_an_exploration_after_one_round(tmp_path, expected):
    shutil.copytree(FILES / "exploration", tmp_path / "explored")
    topology, positions = _dipeptide(tmp_path / "explored" / "topology.pdb")
    swarm = Swarm(topology, positions, n_places=3, platform="Reference", seed=4)
    plan = Plan(runs=3, piece=0.4, settling=0.04, frame_interval=0.04, lagtime=0.04, n_microstates=4)
    exploration = Exploration(swarm, tmp_path / "explored", plan)
    assert exploration.n_rounds == 1
    np.testing.assert_array_equal([piece.xyz for piece in exploration.pieces], expected["pieces"])
    np.testing.assert_allclose(exploration.kinetics().weights, expected["weights"], rtol=1e-6)
    generated = mdtraj.Trajectory(positions[None], mdtraj.Topology.from_openmm(topology))
    exploration.round(generated)
    assert exploration.n_rounds == 2 and len(exploration.kinetics().labels) == 6
    np.testing.assert_array_equal([piece.xyz for piece in exploration.pieces[:3]], expected["pieces"])


def _dipeptide(path):
    frame = mdtraj.load(str(path))
    return frame.topology.to_openmm(), frame.xyz[0].astype(float)
