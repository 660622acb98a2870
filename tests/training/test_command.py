"""``openmm-mdgen train`` as a user meets it: settings, fine-tuning, several processes, refusals."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from openmm import unit

from openmm_mdgen.commands.main import main
from openmm_mdgen.data import read_folders
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.tasks import TASKS
from openmm_mdgen.molecule.placement import BACKBONES, backbone_named
from openmm_mdgen.settings import settings_of
from openmm_mdgen.training import TrainingConfig
from tripeptides import INTERVAL, write_tripeptides

SMALL = "--batch-size 4 --frames 5 --frame-interval 0.08 --width 16 --layers 1 --heads 2 --no-progress".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tripeptides(tmp_path_factory.mktemp("md"))


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a subcommand; its exit code and all it printed."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["openmm-mdgen", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return leaving.value.code, printed.out + printed.err

    return call


@pytest.fixture
def train(command):
    return partial(command, "train")


@pytest.mark.slow
def test_weights_of_the_command_generate_and_can_be_fine_tuned(folder, tmp_path, train, command):
    stated = ("--name", "mine", "--backbone", "fitted")
    code, printed = train(folder, "--out", tmp_path / "run", "--steps", 2, *stated, *SMALL)
    assert code == 0 and "2 trajectories" in printed
    weights = tmp_path / "run" / "weights.safetensors"
    generator = TrajectoryGenerator.load(weights, device="cpu")
    assert (generator.info.name, generator.info.backbone) == ("mine", "fitted")
    assert generator.info.about["sequences"] == ["AGV", "SLA"]
    topology, positions = build_peptide("GAS")
    assert generator.rollout(topology, positions.value_in_unit(unit.nanometer), 6).n_frames == 6

    options = ("--steps", 3, "--no-progress")
    code, printed = command("fine-tune", weights, folder, "--out", tmp_path / "tuned", *options)
    assert code == 0 and "before" in printed and "after" in printed and "real MD against itself" in printed
    flow, info = checkpoints.load(tmp_path / "tuned" / "weights.safetensors")
    assert flow.config == generator.flow.config and info.name == "mine fine-tuned"
    assert info.about["fine_tuned_from"]["name"] == "mine" and info.about["nanoseconds"] == 0.003

    code, printed = command("fine-tune", weights, folder, "--out", tmp_path / "no", *options, "--width", 32)
    assert code == 2 and "--width" in printed
    code, printed = command("fine-tune", weights, folder, "--out", tmp_path / "no", *options, "--hold-out", 0.05)
    assert code == 2 and "too short" in printed
    code, printed = command("fine-tune", "interpolation_tetrapeptide", folder, "--out", tmp_path / "no")
    assert code == 2 and "3 residues" in printed and "exactly 4" in printed


@pytest.mark.slow
def test_settings_come_from_the_file_and_the_command_line_counts_more(folder, tmp_path, train):
    text = f"# mine\nfolders: [{folder}]\nout: {tmp_path / 'run'}\ntask: interpolation\nbatch-size: 4\nframes: 5\n"
    text += "frame_interval: 0.08\nwidth: 16\nlayers: 1\nheads: 2\nsteps: 500\nprogress: false\n"
    (tmp_path / "run.yaml").write_text(text)
    code, _ = train("--config", tmp_path / "run.yaml", "--steps", 2)
    assert code == 0
    training = checkpoints.load(tmp_path / "run" / "weights.safetensors")[1].about["training"]
    assert (training["task"], training["steps"], training["width"]) == ("interpolation", 2, 16)
    assert training["config"] == text


def test_a_backbone_that_there_is_not_is_refused_before_training(folder, tmp_path, train):
    code, printed = train(folder, "--out", tmp_path / "run", "--backbone", "helix")
    assert code == 2 and "'helix' is not one of torsions, fitted, rigids" in printed
    assert all(backbone_named(name) for name in BACKBONES)


def test_train_names_the_command_that_fine_tunes(folder, tmp_path, train):
    code, printed = train(folder, "--out", tmp_path / "run", "--fine-tune", "mine.safetensors")
    assert code == 2 and "openmm-mdgen fine-tune mine.safetensors" in printed


def test_the_help_tells_every_task_and_every_setting(train):
    code, printed = train("--help")
    assert code == 0
    options = {about.option or name for name, about in settings_of(TrainingConfig).items()}
    for text in (*TASKS, *("--" + option.replace("_", "-") for option in options)):
        assert text in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_unknown_settings_are_named_with_the_nearest_known_one(tmp_path, train):
    (tmp_path / "run.yaml").write_text("batchsize: 4\n")
    code, printed = train("--config", tmp_path / "run.yaml")
    assert code == 2 and "'batchsize'" in printed and "'batch_size'" in printed


@pytest.fixture
def lists(tmp_path):
    """CSV files by name."""
    rows = {"one": "AGV", "other": "SLA", "both": "AGV\nSLA"}
    for name, sequences in rows.items():
        (tmp_path / f"{name}.csv").write_text(f"name\n{sequences}\n")
    return {name: tmp_path / f"{name}.csv" for name in rows}


def trained_on(run):
    about = checkpoints.load(run / "weights.safetensors")[1].about
    return about["sequences"], about.get("validation", {}).get("sequences")


@pytest.mark.slow
def test_splits_say_what_is_trained_on_and_what_validates(folder, tmp_path, train, lists):
    code, _ = train(
        folder,
        "--out",
        tmp_path / "run",
        "--steps",
        2,
        *SMALL,
        "--split",
        lists["one"],
        "--validation-split",
        lists["other"],
    )
    assert code == 0 and trained_on(tmp_path / "run") == (["AGV"], ["SLA"])


@pytest.mark.slow
def test_prepared_arrays_train_to_the_weights_of_their_trajectories(folder, tmp_path, train, lists):
    (tmp_path / "arrays").mkdir()
    for recording in read_folders([folder]):
        np.save(tmp_path / "arrays" / f"{recording.sequence}_i1.npy", recording.positions[:])
    arrays = ("--array-interval", INTERVAL, "--array-suffix", "_i1", "--split", lists["both"])
    assert train(tmp_path / "arrays", "--out", tmp_path / "a", "--steps", 2, *arrays, *SMALL)[0] == 0
    assert train(folder, "--out", tmp_path / "b", "--steps", 2, *SMALL)[0] == 0
    ours, theirs = (checkpoints.load(tmp_path / run / "weights.safetensors")[0].network for run in "ab")
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_long_chains_are_trained_on_in_stretches(folder, tmp_path, train):
    assert train(folder, "--out", tmp_path / "run", "--steps", 2, *SMALL, "--max-residues", 2)[0] == 0
    network = checkpoints.load(tmp_path / "run" / "weights.safetensors")[0].config.network
    assert network.max_residues == 2 and not network.position_embedding


def test_lists_that_leak_or_do_not_fit_are_refused(folder, tmp_path, train, lists):
    out = ("--out", tmp_path / "run", *SMALL)
    code, printed = train(folder, *out, "--split", lists["both"], "--test-split", lists["other"])
    assert code == 2 and "SLA: in train and in test" in printed
    code, printed = train(folder, *out, "--split", lists["both"], "--validation-split", lists["other"])
    assert code == 2 and "SLA: in train and in validation" in printed
    code, printed = train(folder, *out, "--validation-split", lists["other"])
    assert code == 2 and "--split" in printed
    code, printed = train(folder, *out, "--array-interval", INTERVAL)
    assert code == 2 and "--split" in printed
    code, printed = train(folder, *out, "--array-interval", INTERVAL, "--split", lists["one"])
    assert code == 2 and "no array" in printed
    code, printed = train(folder, tmp_path, *out, "--array-interval", INTERVAL, "--split", lists["one"])
    assert code == 2 and "one folder" in printed


@pytest.mark.slow
def test_two_processes_train_as_one(folder, tmp_path, train):
    options = ["--steps", "3", "--accelerator", "cpu", "--save-every", "2", *SMALL]
    assert train(folder, "--out", tmp_path / "one", *options)[0] == 0
    script = "from openmm_mdgen.commands.main import main; main()"
    (tmp_path / "command.py").write_text(script)
    command = [sys.executable, tmp_path / "command.py", "train", folder, "--out", tmp_path / "two", *options]
    subprocess.run([*map(str, command), "--devices", "2"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    one, two = (checkpoints.load(tmp_path / run / "weights.safetensors")[0].network for run in ("one", "two"))
    for ours, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)  # float16 on disk
    curves = [(tmp_path / run / "curve.csv").read_text().splitlines()[1:] for run in ("one", "two")]
    losses = [[float(row.split(",")[1]) for row in rows] for rows in curves]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and len(losses[0]) == 3


def test_mistakes_are_refused_before_training(folder, tmp_path, train):
    out = ("--out", tmp_path / "run")
    code, printed = train(folder, *out, *SMALL, "--validate", folder)
    assert code == 2 and "AGV, SLA" in printed
    code, printed = train(tmp_path, *out, *SMALL)
    assert code == 2 and str(tmp_path) in printed
    code, printed = train(folder, *out, *SMALL, "--frames", 90)
    assert code == 2 and "record more" in printed
    code, printed = train(folder, *out, *SMALL, "--frame-interval", 1.5 * INTERVAL)
    assert code == 2 and "not a multiple" in printed
    code, printed = train(folder, *out, *SMALL, "--task", "docking")
    assert code == 2 and "docking" in printed
    code, printed = train(folder, *out, *SMALL, "--devices", 3)
    assert code == 2 and "4 windows" in printed
    code, printed = train(folder, *out, *SMALL, "--init", "forward_peptide")
    assert code == 2 and "width 96" in printed
    (tmp_path / "file").write_text("")
    code, printed = train(folder, "--out", tmp_path / "file" / "run", *SMALL)
    assert code == 2 and "cannot be written" in printed
