"""``--temperature``, with weights that know several temperatures and with others."""

import sys

import mdtraj
import numpy as np
import pytest

from models import INFO, small_forward_flow
from openmm_mdgen.commands.main import main
from openmm_mdgen.model import checkpoints
from tempered import tempered


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder that holds told.safetensors; gives exit code and all it printed."""
    monkeypatch.chdir(tmp_path)
    made = tempered()
    checkpoints.save("told.safetensors", made.flow, made.info)
    checkpoints.save("small.safetensors", small_forward_flow(), INFO)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["openmm-mdgen", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capsys.readouterr()
        return leaving.value.code, printed.out + printed.err

    return call


def test_a_run_is_of_the_temperature_that_is_asked_for(command, recwarn):
    made = {}
    for out, options in {
        "default": (),
        "350": ("--temperature", "350"),
        "300": ("--temperature", "300"),
        "pair": ("--temperature", "300", "--replicas", "2"),
    }.items():
        words = ("run", "AA", "--time", "0.1ps", "--seed", "1", "--generator", "./told.safetensors")
        code, printed = command(*words, "--out", f"{out}.dcd", *options)
        assert code == 0, printed
        made[out] = mdtraj.load(f"{out}{'_000' * (out == 'pair')}.dcd", top=f"{out}.pdb").xyz
    assert np.array_equal(made["default"], made["350"])
    assert np.abs(made["300"] - made["350"]).max() > 1e-3
    np.testing.assert_allclose(made["300"], made["pair"], atol=1e-4)
    assert not [w for w in recwarn if "trained at" in str(w.message)], "the integrator has the temperature asked for"


@pytest.mark.parametrize(
    ("weights", "kelvin", "says"),
    [
        ("./told.safetensors", "280", "'told' was trained at 300 to 350 K"),
        ("./small.safetensors", "300", "'small' was trained at 350 K"),
    ],
)
def test_a_temperature_that_weights_do_not_know_is_refused_before_any_work(command, tmp_path, weights, kelvin, says):
    code, printed = command("run", "AA", "--time", "10ps", "--temperature", kelvin, "--generator", weights)
    assert code == 2 and says in printed.replace("\n", " ")
    assert not list(tmp_path.glob("traj*"))


def test_the_range_is_listed(command):
    code, printed = command("weights", "show", "./told.safetensors")
    assert code == 0 and "300-350 K" in printed
