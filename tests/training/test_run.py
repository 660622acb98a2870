"""The training run itself, on a few picoseconds of real MD."""

import csv
import math
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models import SMALL, random_flow
from openmm_mdgen.data import Windows, read_folders
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.geometry.residues import UNKNOWN
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model import checkpoints, tasks
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import N_TORSION_CHANNELS, Frames, Tokenizer
from openmm_mdgen.training import token_scales, train
from openmm_mdgen.training.batches import Batches
from openmm_mdgen.training.initial_flow import new_flow, warm_started
from openmm_mdgen.training.validation import FIGURES, HeldOut, figure_for, torsion_distance
from training_runs import INFO, TINY, run_to_validate
from tripeptides import write_tripeptides

TASKS = {"forward_simulation": {}, "interpolation": {}, "upsampling": {"factor": 2}, "inpainting": {"designed": (1,)}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tripeptides(tmp_path_factory.mktemp("md"))


@pytest.fixture(scope="module")
def recordings(folder):
    return read_folders([folder])


def settings_of(task):
    return replace(TINY, task=task, **TASKS[task])


def windows_of(recordings, config=TINY):
    return Windows(recordings, n_frames=config.n_frames, frame_interval=config.frame_interval)


@pytest.mark.slow
def test_a_killed_run_taken_up_again_ends_as_if_nothing_had_happened(folder, tmp_path):
    whole = run_to_validate(folder, tmp_path / "whole")
    script = "import sys, training_runs; training_runs.run_to_validate(*sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", script, folder, tmp_path / "cut"], env=environment)
    while not (tmp_path / "cut" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "weights.safetensors").exists(), "the run ended before it was killed"
    resumed = run_to_validate(folder, tmp_path / "cut")

    assert whole.read_bytes() == resumed.read_bytes()
    curves = [(tmp_path / run / "curve.csv").read_text() for run in ("whole", "cut")]
    assert curves[0] == curves[1]
    rows = list(csv.DictReader(curves[0].splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 21))
    assert [int(row["step"]) for row in rows if row["validation"]] == [6, 12, 18, 20]
    states = [torch.load(tmp_path / run / "last.ckpt", weights_only=True)["state_dict"] for run in ("whole", "cut")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_finished_run_is_lengthened_and_never_shortened(folder, tmp_path):
    """Steps that are added are those which a run of that length takes, at its learning rate and with its batches."""
    one, _ = read_folders([folder])

    def curve(steps, out):
        train([one], tmp_path / out, replace(TINY, steps=steps), INFO, save_every=5, progress=False)
        rows = list(csv.DictReader((tmp_path / out / "curve.csv").read_text().splitlines()))
        return [int(row["step"]) for row in rows], [float(row["loss"]) for row in rows]

    steps, short = curve(8, "run")
    assert steps == list(range(1, 9))
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    steps, long = curve(14, "run")
    assert steps == list(range(1, 15)) and long[:8] == short
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() != before
    _, info = checkpoints.header(tmp_path / "run" / "weights.safetensors")
    assert info.about["steps_taken"] == 14
    saved = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 14 and saved["lr_schedulers"][0]["last_epoch"] == 14
    with pytest.raises(CheckpointError, match="steps 14 there, 8 here"):
        curve(8, "run")


@pytest.mark.parametrize("task", TASKS)
def test_steps_of_every_task_lower_the_loss_of_a_batch(recordings, task):
    config = settings_of(task)
    torch.manual_seed(0)
    flow = new_flow(config, windows_of(recordings)).train()
    batch = Batches(windows_of(recordings), flow.config, 8, seed=0)[0]
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = flow.loss(batch.frames, batch.noise, batch.t, batch.type_noise).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("task", TASKS)
def test_parts_of_a_batch_give_together_the_gradient_of_the_whole(recordings, task):
    config = settings_of(task)
    flow = new_flow(config, windows_of(recordings))

    def gradient(rank, n_ranks):
        batch = Batches(windows_of(recordings), flow.config, 4, 7, rank, n_ranks)[3]
        flow.zero_grad()
        flow.loss(batch.frames, batch.noise, batch.t, batch.type_noise).mean().backward()
        return torch.cat([p.grad.flatten() for p in flow.parameters() if p.grad is not None])

    whole, parts = gradient(0, 1), [gradient(rank, 2) for rank in range(2)]
    assert whole.abs().max() > 0 and not torch.equal(parts[0], parts[1])
    torch.testing.assert_close(sum(parts) / 2, whole, atol=1e-6, rtol=1e-4)


def test_simplex_states_have_the_mean_of_their_dirichlet_law(recordings):
    config = settings_of("inpainting")
    flow = new_flow(config, windows_of(recordings))
    batch = Batches(windows_of(recordings), flow.config, 4000, seed=0)[0]
    true = torch.gather(batch.type_noise, -1, batch.frames.aatype[..., None])[..., 0].mean(-1)
    torch.testing.assert_close(batch.type_noise.sum(-1), torch.ones(4000, 3))
    for low, high in ((0.0, 0.5), (0.5, 1.0)):
        some = (batch.t >= low) & (batch.t < high)
        concentration = 1 + batch.t[some] * (flow.config.simplex.maximum - 1)
        expected = (concentration / (concentration + 19)).mean()  # of a component of a Dirichlet variable
        assert abs(true[some].mean() - expected) < 0.01


def test_scaled_tokens_have_unit_variance(recordings):
    windows = windows_of(recordings)
    flow = TrajectoryFlow(FlowConfig(NetworkConfig(**SMALL), Tokenizer(), ForwardSimulation()))
    shift, scale = token_scales(flow, windows, batches=8, seed=0)
    tokens = Tokenizer(shift=shift, scale=scale).encode(windows.batch(256, np.random.default_rng(1)))[:, 1:]
    offsets = tokens[..., :-N_TORSION_CHANNELS]
    for kind in (offsets[..., 0], offsets[..., 1:4], offsets[..., 4:7]):
        assert abs(float(kind.std()) - 1) < 0.1


def test_a_warm_start_of_the_same_task_is_the_same_model(recordings, tmp_path):
    config = settings_of("forward_simulation")
    source = new_flow(config, windows_of(recordings))
    checkpoints.save(tmp_path / "source.safetensors", source, INFO)
    flow, missing = warm_started(
        new_flow(replace(config, seed=1), windows_of(recordings)), tmp_path / "source.safetensors"
    )
    assert missing == [] and flow.config == source.config
    assert all(torch.equal(value, flow.state_dict()[key]) for key, value in source.state_dict().items())


def test_a_warm_start_of_another_task_says_what_is_new(recordings, tmp_path):
    checkpoints.save(tmp_path / "source.safetensors", new_flow(TINY, windows_of(recordings)), INFO)
    fresh = new_flow(settings_of("interpolation"), windows_of(recordings))
    flow, missing = warm_started(fresh, tmp_path / "source.safetensors")
    assert "latent_to_emb.weight" in missing and not any(name.startswith("layers.") for name in missing)
    assert flow.config == fresh.config


def test_torsion_distance_is_zero_for_the_same_and_that_of_disjoint_for_opposite_angles():
    here = torch.tensor([0.6, 0.8]).expand(10, 2, 7, 2)
    mask = torch.ones(2, 7)
    assert torsion_distance(here, here, mask) == 0
    assert torsion_distance(here, -here, mask) == pytest.approx(np.sqrt(np.log(2)))


@pytest.mark.parametrize("task", TASKS)
def test_figures_are_finite_and_the_same_again(recordings, task):
    config = settings_of(task)
    flow = new_flow(config, windows_of(recordings)).eval()
    held_out = HeldOut(recordings, config.n_frames, config.frame_interval)
    figures = held_out.figures(flow)
    assert figures == held_out.figures(flow) and len(figures) == 2
    assert all(0 < figure <= 1 for figure in figures)
    assert held_out.figures(flow, rank=1, n_ranks=2) == figures[1:]


def test_a_task_names_the_figure_that_validates_it():
    assert {kind.figure for kind in tasks.TASKS.values()} <= set(FIGURES)

    class Unjudged(ForwardSimulation):
        name = "unjudged"
        figure = "beauty"

    with pytest.raises(MDGenError, match="'unjudged' is validated by 'beauty'"):
        figure_for(Unjudged())


def test_the_flow_loss_is_the_same_again_and_that_of_training(recordings):
    flow = new_flow(TINY, windows_of(recordings)).eval()
    held_out = HeldOut(recordings, TINY.n_frames, TINY.frame_interval, figure="flow_loss")
    figures = held_out.figures(flow)
    assert figures == held_out.figures(flow)
    batch = Batches(held_out.windows[1], flow.config, 64, seed=0)[0]
    weights = torch.tensor([0.3] * 7 + [1.0] * N_TORSION_CHANNELS)
    with torch.no_grad():
        expected = flow.loss(batch.frames, batch.noise, batch.t, channel_weights=weights).mean()
    assert figures[1] == pytest.approx(float(expected), rel=1e-6)


def test_the_start_reaches_every_frame_where_it_is_asked_for(recordings, tmp_path):
    windows = windows_of(recordings)
    plain = new_flow(TINY, windows)
    flow = new_flow(replace(TINY, start_in_every_frame=True), windows)
    assert plain.state_dict().keys() < flow.state_dict().keys()
    checkpoints.save(tmp_path / "mine.safetensors", flow, INFO)
    assert checkpoints.load(tmp_path / "mine.safetensors")[0].config == flow.config
    flow = random_flow(flow.config)
    batch = Batches(windows, flow.config, 2, seed=0)[0]
    _, condition = flow.condition(batch.frames)

    def embedded(condition):
        with torch.no_grad():
            return flow.network(batch.noise, batch.t, condition)

    # Without mixing over frames the first frame's tokens would reach the last one by this way alone.
    for layer in flow.network.layers:
        torch.nn.init.zeros_(layer.mha_t.attn.out_proj.weight)
    other = replace(condition, tokens=condition.tokens + (condition.mask > 0)[..., None])
    assert (embedded(condition)[:, -1] - embedded(other)[:, -1]).abs().max() > 1e-3
    torch.nn.init.zeros_(flow.network.start_to_emb.weight)
    assert torch.equal(embedded(condition)[:, -1], embedded(other)[:, -1])


@pytest.mark.slow
def test_weights_of_a_run_can_be_tried_on_its_way(recordings, tmp_path):
    config = replace(TINY, optimizer="muon", max_padding=0.05, steps=5)
    train(recordings, tmp_path, config, INFO, save_every=2, progress=False)
    flow, info = checkpoints.load(tmp_path / "latest.safetensors")
    assert info.about["steps_taken"] == 4 and info.about["training"]["optimizer"] == "muon"
    assert flow.config == checkpoints.load(tmp_path / "weights.safetensors")[0].config


@pytest.mark.slow
def test_a_run_without_gain_stops_and_keeps_the_best(recordings, tmp_path):
    config = replace(TINY, learning_rate=0.0, patience=2, validate_every=2)
    weights = train(recordings[:1], tmp_path, config, INFO, validation=recordings[1:], progress=False)
    info = checkpoints.load(weights)[1]
    assert info.about["steps_taken"] == 6 and info.about["validation"]["at_step"] == 2
    again = train(recordings[:1], tmp_path, config, INFO, validation=recordings[1:], progress=False)
    assert checkpoints.load(again)[1].about == info.about


@pytest.mark.slow
def test_a_run_of_other_settings_is_not_taken_up(recordings, tmp_path):
    train(recordings, tmp_path, replace(TINY, steps=1), INFO, progress=False)
    with pytest.raises(CheckpointError, match=r"steps 1 there, 20 here; batch_size 4 there, 8 here"):
        train(recordings, tmp_path, replace(TINY, batch_size=8), INFO, progress=False)
    (tmp_path / "last.ckpt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        train(recordings, tmp_path, TINY, INFO, progress=False)


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_is_told_and_leaves_no_part(recordings, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # bytes a file: what a full disk looks like
    try:
        with pytest.raises(MDGenError, match="could not be written"):
            train(recordings, tmp_path, replace(TINY, steps=2), INFO, save_every=1, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.glob(".*partial*"))


@pytest.mark.parametrize("mixer", ["attention", "hyena", "bidirectional_hyena"])
@pytest.mark.parametrize("task", TASKS)
def test_mixed_precision_changes_features_and_no_coordinates(recordings, task, mixer):
    config = replace(settings_of(task), time_mixer=mixer)
    torch.manual_seed(0)
    flow = random_flow(new_flow(config, windows_of(recordings)).config, scale=0.1)
    batch = Batches(windows_of(recordings), flow.config, 8, seed=0)[0]

    def evaluated():
        tokens, _ = flow.condition(batch.frames)
        return tokens, flow.loss(batch.frames, batch.noise, batch.t, batch.type_noise)

    tokens, loss = evaluated()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough_tokens, rough_loss = evaluated()
    assert torch.equal(tokens, rough_tokens)
    assert not torch.equal(loss, rough_loss)
    torch.testing.assert_close(rough_loss.float(), loss, rtol=0.05, atol=0)  # bfloat16 has three digits in a sum


def test_padding_does_not_count_in_token_scales(recordings):
    class Padded(Windows):
        def batch(self, n, rng):
            f = super().batch(n, rng)
            widened = F.pad(f.rigids.to_tensor7(), (0, 0, 0, 2))
            widened[:, :, -2:, 0] = 1
            return Frames(
                F.pad(f.aatype, (0, 2), value=UNKNOWN),
                Rigid.from_tensor7(widened),
                F.pad(f.torsions, (0, 0, 0, 0, 0, 2)),
                F.pad(f.torsion_mask, (0, 0, 0, 2)),
                F.pad(f.residue_mask, (0, 2)),
            )

    flow = new_flow(TINY, windows_of(recordings))
    padded = Padded(recordings, n_frames=TINY.n_frames, frame_interval=TINY.frame_interval)
    found = [token_scales(flow, windows, batches=2, seed=0) for windows in (windows_of(recordings), padded)]
    for plain, other in zip(*found, strict=True):
        assert other == pytest.approx(plain, rel=1e-4)


def test_a_short_run_does_not_keep_the_weights_that_it_began_with(recordings, tmp_path):
    config = replace(TINY, steps=10, ema_decay=0.999)
    flow = new_flow(config, windows_of(recordings))
    begun = {key: value.clone() for key, value in flow.state_dict().items()}
    train(recordings, tmp_path, config, INFO, flow=flow, progress=False)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]

    def apart(one, other):
        return math.sqrt(sum(float((one(key) - other(key)).square().sum()) for key in begun))

    now, mean = (lambda key, part=part: state[f"{part}.{key}"] for part in ("flow", "mean"))
    assert 0 < apart(now, mean) < 0.6 * apart(now, begun.__getitem__)


def test_weights_of_several_lengths_take_chains_up_to_the_length_that_is_asked_for(recordings):
    one, other = recordings
    shorter = replace(other, sequence=other.sequence[:2], positions=other.positions[:, :2])
    config = replace(TINY, max_residues=10)
    assert [new_flow(config, windows_of(r)).config.network.chain_lengths for r in ([one], [one, shorter])] == [
        "exactly 3",
        "at most 10",
    ]
    assert new_flow(TINY, windows_of([one, shorter])).config.network.chain_lengths == "at most 3"


def test_batches_of_mixed_lengths_and_caps_train_as_each_chain_alone(recordings):
    """Padding and neighbours in a batch change nothing: the loss of a window is that of the window by itself."""
    one, other = recordings
    capped = replace(other, n_cap="ACE", c_cap="NME")  # the first residue's atoms stand for the cap's
    capped = replace(capped, sequence=other.sequence[1:])
    config = replace(TINY, termini=True, start_in_every_frame=True)
    windows = windows_of([one, capped])
    flow = random_flow(new_flow(config, windows).config, scale=0.1)
    batch = Batches(windows, flow.config, 6, seed=2)[0]
    assert 0 < batch.frames.residue_mask.mean() < 1 and set(batch.frames.termini.flatten().tolist()) == {0, 1, 2}
    with torch.no_grad():
        together = flow.loss(batch.frames, batch.noise, batch.t)
        for k in range(6):
            n = int(batch.frames.residue_mask[k].sum())
            f = batch.frames[k : k + 1]
            alone = Frames(
                f.aatype[:, :n],
                f.rigids[:, :, :n],
                f.torsions[:, :, :n],
                f.torsion_mask[:, :n],
                f.residue_mask[:, :n],
                f.termini[:, :n],
            )
            loss = flow.loss(alone, batch.noise[k : k + 1, :, :n], batch.t[k : k + 1])
            torch.testing.assert_close(loss[0], together[k], rtol=1e-4, atol=1e-5)
    free = replace(batch.frames, termini=torch.zeros_like(batch.frames.termini))
    with torch.no_grad():
        assert not torch.equal(flow.loss(free, batch.noise, batch.t), together)
