"""Training on MD of several temperatures, and on MD that is not what it says."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from openmm_mdgen.data import read_folders, with_temperatures
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.model import checkpoints
from openmm_mdgen.training import FineTuningConfig, fine_tune, train
from openmm_mdgen.training.validation import HeldOut
from training_runs import INFO, TINY
from tripeptides import write_tripeptides

TOLD = replace(TINY, tell_temperature=True, steps=6, optimizer="muon", termini=True, start_in_every_frame=True)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return read_folders([write_tripeptides(tmp_path_factory.mktemp("md"))])


@pytest.fixture(scope="module")
def mixed(recordings):
    """One of 300 K, one that does not say."""
    return [*with_temperatures(recordings[:1], 300.0), recordings[1]]


@pytest.fixture(scope="module")
def weights(mixed, tmp_path_factory):
    """Of MD of two temperatures."""
    return train(mixed, tmp_path_factory.mktemp("told"), TOLD, INFO, progress=False)


def test_weights_that_are_told_know_the_temperatures_they_were_trained_on(weights):
    flow, info = checkpoints.load(weights)
    assert flow.config.network.temperature and info.temperatures == (300.0, 350.0)
    assert info.temperature == 350.0, "what INFO says of MD that does not state its own"
    assert flow.network.temperature_embedder.linear.weight.abs().max() > 0, "nothing was learned of the temperature"
    assert info.about["training"]["tell_temperature"]


def test_several_temperatures_are_refused_where_the_network_is_not_told(mixed, recordings, tmp_path):
    with pytest.raises(MDGenError, match=r"AGV of 300 K, SLA of 350 K.*--tell-temperature"):
        train(mixed, tmp_path, TINY, INFO, progress=False)
    with pytest.raises(MDGenError, match="several temperatures"):
        train(mixed[:1], tmp_path, TINY, INFO, validation=recordings[1:], progress=False)
    assert not (tmp_path / "last.ckpt").exists()


def test_weights_that_are_not_told_say_what_their_md_says(recordings, tmp_path):
    cold = with_temperatures(recordings, 300.0)
    _, info = checkpoints.load(train(cold, tmp_path, replace(TINY, steps=1), INFO, progress=False))
    assert info.temperature == 300.0 and info.temperatures is None


def test_the_flow_loss_is_at_the_temperature_of_each_recording(weights, recordings):
    flow, _ = checkpoints.load(weights)
    with torch.no_grad():
        flow.network.temperature_embedder.linear.weight.normal_(generator=torch.Generator().manual_seed(0))
    by_temperature = []
    for kelvin in ((300.0, 350.0), (350.0, 350.0)):
        some = [r for r, k in zip(recordings, kelvin, strict=True) for r in with_temperatures([r], k)]
        by_temperature.append(HeldOut(some, TINY.n_frames, TINY.frame_interval, figure="flow_loss").figures(flow))
    assert by_temperature[0][0] != by_temperature[1][0] and by_temperature[0][1] == by_temperature[1][1]


def test_a_run_begins_with_weights_that_were_never_told(recordings, mixed, tmp_path):
    plain = replace(TOLD, tell_temperature=False, optimizer="adamw")
    source = train(recordings, tmp_path / "plain", plain, INFO, progress=False)
    resumed = replace(TOLD, steps=1, learning_rate=0.0)
    begun = train(mixed, tmp_path / "told", resumed, INFO, init=source, progress=False)
    ours, theirs = checkpoints.load(begun)[0], checkpoints.load(source)[0]
    own = ours.state_dict()
    assert all(torch.equal(value, own.pop(key)) for key, value in theirs.state_dict().items())
    assert all(key.startswith("network.temperature_embedder") for key in own)


def test_fine_tuning_goes_on_at_the_temperatures_of_its_md(weights, recordings, tmp_path):
    config = FineTuningConfig(steps=2, batch_size=4)
    tuned = fine_tune(with_temperatures(recordings, 320.0), tmp_path / "own", weights, config, progress=False)
    assert checkpoints.load(tuned.weights)[1].temperatures == (320.0,)
    stated = fine_tune(recordings, tmp_path / "stated", weights, config, temperature=310.0, progress=False)
    assert checkpoints.load(stated.weights)[1].temperatures == (310.0,)
    default = fine_tune(recordings, tmp_path / "default", weights, config, progress=False)
    info = checkpoints.load(default.weights)[1]
    assert (info.temperature, info.temperatures) == (350.0, (350.0,))


def test_folders_of_two_temperatures_are_given_to_the_command(tmp_path, capsys, monkeypatch):
    from openmm_mdgen.commands.main import main

    (tmp_path / "warm").mkdir()
    warm = write_tripeptides(tmp_path / "warm")
    cold = shutil.copytree(warm, tmp_path / "cold")
    (cold / "protocol.json").write_text(json.dumps({"temperature": 300}))
    small = "--steps 1 --batch-size 4 --frames 5 --frame-interval 0.08 --width 16 --layers 1 --heads 2 --no-progress"

    def call(*options):
        monkeypatch.setattr(
            "sys.argv",
            ["openmm-mdgen", "train", str(warm), str(cold), "--out", str(tmp_path / "run"), *small.split(), *options],
        )
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return leaving.value.code, printed.out + printed.err

    code, printed = call()
    assert code == 2 and "--tell-temperature" in printed
    code, printed = call("--tell-temperature", "--temperature", "340")
    assert code == 0, printed
    assert checkpoints.load(tmp_path / "run" / "weights.safetensors")[1].temperatures == (300.0, 340.0)
