"""The example that makes MD, trains on it and writes a card: at toy size on a CPU, stopped and taken up again."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from openmm_mdgen.model import checkpoints

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_on_gpu.py"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "list.csv").write_text(
        "name\nGAS\nACE-A-NME\nAGSA\nAASF\nACE-GAS-NME\n"
    )  # AASF is a published test sequence

    def go(*options):
        words = [EXAMPLE, tmp_path / "list.csv", tmp_path / "out", "--toy", "--minutes", 0.01, *options]
        monkeypatch.setattr(sys, "argv", [*map(str, words)])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        return capsys.readouterr().out

    return go


def test_from_a_list_to_weights_with_their_card(run, tmp_path):
    out = tmp_path / "out"
    first = run("--packed", 1, "--temperatures", 350, 300)
    assert "2 peptides to train on, 1 held out" in first and "s a step" in first
    made = {path.parent.parent.name + "/" + path.stem for path in out.glob("*/*/*.xtc")}
    assert made == {"held_out/GAS_0", "held_out/GAS_1", "md_350K/ACE-A-NME", "md_300K/AGSA"}
    weights = out / "training" / "weights.safetensors"
    config, info = checkpoints.header(weights)
    assert config.network.width == 16 and config.network.temperature and config.network.termini
    assert sorted(info.about["sequences"]) == ["A", "AGSA"] and set(info.temperatures) == {300.0, 350.0}
    card = (out / "trained_on_gpu.md").read_text()
    assert "| generated | " in card and "MD of 2 sequences, 0.024 ns" in card and "| GAS | " in card
    steps = json.loads((out / "steps.json").read_text())["steps"]

    # What is there is not done again; a training that was stopped keeps its number of steps.
    weights.unlink()
    (out / "trained_on_gpu.md").unlink()
    before = (out / "training" / "curve.csv").read_text()
    second = run("--packed", 1, "--temperatures", 350, 300, "--minutes", 5)
    assert "s a step" not in second and checkpoints.header(weights)[1].about["steps_taken"] == steps
    assert (out / "training" / "curve.csv").read_text() == before and (out / "trained_on_gpu.md").exists()
    assert "training: found" in run("--packed", 1, "--temperatures", 350, 300)
