"""The long convolution over frames: what it computes, what it sees, and what it costs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models import NEAR_KEY_FRAME, SMALL, random_flow, random_frames
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig, hyena, velocity
from openmm_mdgen.model.network.hyena import BidirectionalHyena
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Tokenizer
from structures import peptide

FRAMES = [1, 2, 7, 40]


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    return BidirectionalHyena(6, 30).double().requires_grad_(False)


def flow_with(time_mixer, **sizes):
    network = NetworkConfig(**{**SMALL, **sizes}, time_mixer=time_mixer)
    return random_flow(FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()), scale=0.05)


@pytest.mark.parametrize("n", FRAMES)
def test_it_is_the_gated_convolution_of_its_definition(mixer, n):
    """Restated as sums over pairs of frames."""
    x = torch.randn(2, n, 6, dtype=torch.float64)
    z = mixer.in_proj(x)
    padded = torch.cat([torch.zeros(2, 1, 18), z, torch.zeros(2, 1, 18)], dim=1)
    w, b = mixer.short_filter.weight[:, 0], mixer.short_filter.bias
    short = b + w[:, 0] * padded[:, :-2] + w[:, 1] * padded[:, 1:-1] + w[:, 2] * padded[:, 2:]
    gate_out, gate_in, v = short.split(6, dim=-1)
    v = v * gate_in
    taps = mixer.filter_fn(n)
    y = mixer.bias * v
    for i in range(n):
        for j in range(n):
            y[:, i] += taps[i - j] * v[:, j]  # a negative lag counts from the end
    torch.testing.assert_close(mixer(x), mixer.out_proj(y * gate_out), rtol=1e-10, atol=1e-12)


def test_every_frame_sees_every_other(mixer):
    x = torch.randn(1, 12, 6, dtype=torch.float64)
    out = mixer(x)
    for k in (0, 6, 11):
        moved = x.clone()
        moved[:, k] += 1
        assert ((mixer(moved) - out).abs().amax(-1) > 1e-9).all()


def test_the_filter_does_not_depend_on_how_many_frames_there_are(mixer):
    """Lags mean frames: apart from the norm of the window, short and long sequences have the same taps."""
    short, long = mixer.filter_fn(5), mixer.filter_fn(20)
    ratio = long[[0, 1, 2, -2, -1]] / short[[0, 1, 2, -2, -1]]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-9, atol=0)


@pytest.mark.parametrize("time_mixer", ["hyena", "bidirectional_hyena", "attention"])
def test_pieces_make_the_whole(monkeypatch, time_mixer):
    """What is done piece by piece to save memory comes out as if done at once."""
    flow = flow_with(time_mixer, n_frames=40).double().requires_grad_(False)
    frames = random_frames(1, n_frames=40).to(torch.float64)
    _, condition = flow.condition(frames)
    x, t = torch.randn(2, 40, 4, 21, dtype=torch.float64), torch.tensor([0.2, 0.6], dtype=torch.float64)
    with torch.no_grad():
        whole = flow.network(x, t, condition)
        monkeypatch.setattr(velocity, "_TOKENS_AT_ONCE", 7 * 2 * 4)
        monkeypatch.setattr(hyena, "_FRAMES_AT_ONCE", 100)
        torch.testing.assert_close(flow.network(x, t, condition), whole, rtol=1e-10, atol=1e-12)


def test_it_trains():
    flow = flow_with("bidirectional_hyena")
    frames = random_frames(2)
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    noise, t = torch.randn(2, 6, 4, 21), torch.tensor([0.3, 0.8])
    losses = []
    for _ in range(40):
        loss = flow.loss(frames, noise, t).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in flow.parameters())


@pytest.mark.parametrize("time_mixer", ["hyena", "bidirectional_hyena"])
def test_weights_go_to_disk_and_generate(time_mixer, tmp_path):
    flow = flow_with(time_mixer, n_frames=50)
    checkpoints.save(tmp_path / "w.safetensors", flow, ModelInfo("long", 50, 10.0, 350.0))
    generator = TrajectoryGenerator.load(tmp_path / "w.safetensors", device="cpu", ode_solver="euler", evaluations=3)
    assert generator.flow.config == flow.config
    topology, positions = peptide("AKLV")
    trajectory = generator.rollout(topology, positions, n_frames=60, seed=1)
    assert trajectory.n_frames == 60 and np.isfinite(trajectory.xyz).all()


@pytest.mark.slow
def test_seconds_and_memory_grow_with_the_number_of_frames_and_no_faster():
    """Of one sample, each size in a process of its own: four times the frames take at most five times as much."""
    script = Path(__file__).parent.parent.parent / "benchmarks" / "long_sample.py"
    costs = []
    for n_frames in (10_000, 40_000):
        command = [sys.executable, str(script), "--frames", str(n_frames), "--width", "32", "--evaluations", "9"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        costs.append((float(out[1]), float(out[3])))
    (seconds, memory), (more_seconds, more_memory) = costs
    assert memory > 100  # megabytes: well above what was held before
    assert more_seconds < 5 * seconds and more_memory < 5 * memory
