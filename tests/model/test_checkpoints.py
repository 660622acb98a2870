"""Weights on disk: what is written is what is read, and damage is refused."""

import dataclasses
import json

import pytest
import safetensors
import torch

from models import INFO, SMALL, random_flow, small_forward_flow
from openmm_mdgen.data import read_sequences
from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.generators.sampler import Sampler
from openmm_mdgen.model import checkpoints, ode
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import Inpainting, Upsampling
from openmm_mdgen.model.tokens import Tokenizer

CONFIGS = {
    "upsampling": FlowConfig(NetworkConfig(**SMALL), Tokenizer(shift=(0.5,) * 21, scale=(2.0,) * 21), Upsampling(7)),
    "hyena": FlowConfig(NetworkConfig(time_mixer="hyena", **SMALL), Tokenizer(), Upsampling(3)),
    "inpainting": FlowConfig(
        NetworkConfig(token_width=28, n_key_frames=2, designs=True, **SMALL),
        Tokenizer(n_key_frames=2, torsions=False, zero_undefined=False),
        Inpainting((1, 3)),
        "VP",
        hold_known=False,
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_what_is_saved_is_what_is_loaded(config, tmp_path):
    flow = random_flow(config)
    checkpoints.save(tmp_path / "w.safetensors", flow, INFO)
    again, info = checkpoints.load(tmp_path / "w.safetensors")
    assert again.config == config
    assert info == INFO
    stored = flow.network.state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in again.network.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_number_of_evaluations_is_kept_where_weights_state_one(tmp_path):
    flow = small_forward_flow()
    checkpoints.save(tmp_path / "none", flow, INFO)
    with safetensors.safe_open(str(tmp_path / "none"), framework="pt") as file:
        assert "evaluations" not in json.loads(file.metadata()["info"])  # versions that do not know it read the file
    stated = dataclasses.replace(INFO, ode_solver="midpoint", evaluations=8)
    checkpoints.save(tmp_path / "stated", flow, stated)
    assert checkpoints.load(tmp_path / "stated")[1] == stated
    assert Sampler.load(tmp_path / "stated", device="cpu").solver == ode.Midpoint(8)


def test_half_precision_halves_the_file_and_keeps_three_digits(tmp_path):
    flow = small_forward_flow()
    for name, dtype in (("full", torch.float32), ("half", torch.float16)):
        checkpoints.save(tmp_path / name, flow, INFO, dtype=dtype)
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "full").stat().st_size
    again, _ = checkpoints.load(tmp_path / "half")
    for key, value in again.network.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, flow.network.state_dict()[key], rtol=1e-3, atol=1e-6)


def damaged(tmp_path, how):
    path = tmp_path / "w.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "not weights":
        path.write_text("hello")
    elif how == "another format":
        path.write_bytes(content.replace(b"openmm_mdgen 1", b"openmm_mdgen 9"))
    elif how == "not finite":
        flow = small_forward_flow()
        with torch.no_grad():
            flow.network.latent_to_emb.bias[0] = torch.nan
        checkpoints.save(path, flow, INFO)
    elif how == "other shapes":
        path.write_bytes(content.replace(b'\\"width\\": 16', b'\\"width\\": 32'))
    elif how == "damaged ckpt":
        path = tmp_path / "w.ckpt"
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "how", ["truncated", "not weights", "another format", "not finite", "other shapes", "damaged ckpt"]
)
def test_damaged_weights_are_refused_by_name(how, tmp_path):
    path = damaged(tmp_path, how)
    with pytest.raises(CheckpointError):
        checkpoints.load(path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"state_dict": {}, "hyper_parameters": Attack()}, tmp_path / "evil.ckpt")
    with pytest.raises(CheckpointError):
        checkpoints.load(tmp_path / "evil.ckpt")
    assert not (tmp_path / "owned").exists()


def test_weights_that_are_not_there_are_named_with_those_that_are(tmp_path):
    with pytest.raises(CheckpointError, match="forward_peptide"):
        checkpoints.load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("name", ["mpnn", "dynamic_mpnn", "no_frames", "no_offsets"])
def test_published_variants_that_nothing_uses_are_refused_by_name(name):
    with pytest.raises(CheckpointError, match=name):
        checkpoints.published_config({name: True})


def test_bundled_weights_have_a_card_and_were_not_trained_on_test_sequences():
    from importlib import resources

    folder = resources.files("openmm_mdgen") / "weights"
    held_out = read_sequences(folder / "held_out_sequences.csv")
    assert len(held_out) > 100
    assert checkpoints.bundled(), "no weights in the package"
    for name in checkpoints.bundled():
        assert (folder / f"{name}.md").is_file()
        flow, info = checkpoints.load(name)
        assert dataclasses.asdict(info)["about"]["sequences"]
        assert not held_out & set(info.about["sequences"])
        assert sum(p.numel() for p in flow.parameters()) > 1e5
