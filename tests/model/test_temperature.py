"""What the model knows of the temperature: a field of frames, the network's embedding, and weights that never heard."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from models import INFO, NEAR_KEY_FRAME, SMALL, random_flow, random_frames
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.info import ModelInfo
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import SOLVERS
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Frames, Tokenizer

NETWORK = NetworkConfig(**SMALL, temperature=True)


def config_of(network):
    return FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation())


def at(frames, *kelvin):
    return replace(frames, temperature=torch.tensor(kelvin).to(frames.residue_mask))


def tokens_of(flow, frames, seed=1):
    noise = torch.randn(*frames.rigids.shape, 21, generator=torch.Generator().manual_seed(seed))
    return flow.sample(frames, noise.to(frames.residue_mask), SOLVERS["euler"](3)).tokens


def test_the_temperature_goes_with_its_frames():
    frames = at(random_frames(0, n_batch=3), 300.0, 325.0, 350.0)
    assert frames[1:].temperature.tolist() == [325, 350]
    assert frames[torch.tensor([2, 0])].temperature.tolist() == [350, 300]
    assert Frames.cat([frames[2:], frames[:1]]).temperature.tolist() == [350, 300]
    assert frames.repeat_first(4).temperature.tolist() == [300, 325, 350]
    assert frames.to(torch.float64).temperature.dtype == torch.float64
    assert frames.to(torch.device("cpu")).temperature.tolist() == [300, 325, 350]
    assert frames.without_caps().temperature.tolist() == [300, 325, 350]
    assert frames.at_temperature(310).temperature.tolist() == [310] * 3
    assert random_frames(0).temperature.isnan().all(), "what nobody states must not look like a temperature"


def test_training_can_begin_from_weights_that_are_not_told_the_temperature():
    torch.manual_seed(0)
    plain = random_flow(config_of(replace(NETWORK, temperature=False)), scale=0.05)
    told = checkpoints.TrajectoryFlow(config_of(NETWORK))
    missing = told.load_state_dict(plain.state_dict(), strict=False)
    assert sorted(missing.missing_keys) == [f"network.temperature_embedder.linear.{k}" for k in ("bias", "weight")]
    frames = random_frames(1)
    expected = tokens_of(plain, frames)
    for kelvin in (300.0, 350.0, 410.0):
        assert torch.equal(tokens_of(told, at(frames, kelvin, kelvin)), expected)


def test_a_batch_of_several_temperatures_is_each_of_them_alone():
    flow = random_flow(config_of(NETWORK), scale=0.1).double()
    frames = at(random_frames(2, n_batch=3).to(torch.float64), 300.0, 350.0, 325.0)
    together = tokens_of(flow, frames)
    noise = torch.randn(*frames.rigids.shape, 21, generator=torch.Generator().manual_seed(1)).double()
    for k in range(3):
        alone = flow.sample(frames[k : k + 1], noise[k : k + 1], SOLVERS["euler"](3)).tokens
        torch.testing.assert_close(alone, together[k : k + 1], atol=1e-9, rtol=0)
    other = tokens_of(flow, at(frames, 350.0, 350.0, 325.0))
    assert (other[0] - together[0]).abs().max() > 1e-3
    torch.testing.assert_close(other[1:], together[1:], atol=1e-9, rtol=0)


def test_the_loss_of_each_window_is_that_at_its_temperature():
    flow = random_flow(config_of(NETWORK), scale=0.1)
    frames, t = random_frames(3), torch.tensor([0.3, 0.6])
    noise = torch.randn(*frames.rigids.shape, 21, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        mixed, cold, warm = (
            flow.loss(at(frames, *kelvin), noise, t) for kelvin in ((300.0, 350.0), (300.0, 300.0), (350.0, 350.0))
        )
    torch.testing.assert_close(mixed, torch.stack([cold[0], warm[1]]))
    assert not torch.isclose(cold, warm).any()


def test_files_keep_the_temperatures_and_older_ones_know_one(tmp_path):
    flow = random_flow(config_of(NETWORK))
    checkpoints.save(tmp_path / "told.safetensors", flow, replace(INFO, temperatures=(300.0, 350.0)))
    again, info = checkpoints.load(tmp_path / "told.safetensors")
    assert info.temperatures == (300.0, 350.0) and info.temperature_range == (300.0, 350.0)
    assert again.config == flow.config and again.config.network.temperature
    assert INFO.temperature_range == (350.0, 350.0)
    assert "temperatures" not in json.loads(json.dumps(INFO.values())), "versions that do not know it read the rest"
    assert ModelInfo.from_values(INFO.values()) == INFO


def test_a_configuration_from_before_there_was_a_temperature_has_none():
    values = checkpoints.config_values(config_of(replace(NETWORK, temperature=False)))
    del values["network"]["temperature"]
    assert not checkpoints.config_from_values(values).network.temperature
    with pytest.raises(TypeError):
        checkpoints.config_from_values({**values, "network": {**asdict(NETWORK), "heat": True}})
