"""``openmm-mdgen weights``, and the commands that take weights by name, beside a hub on the loopback."""

import hashlib
import json
from dataclasses import replace

import mdtraj
import numpy as np
import pytest
from typer.main import get_command

from called import called
from hub_server import NOBODY, HubServer, ask_at, empty_cache, published
from openmm_mdgen import MDGenSimulation
from openmm_mdgen.commands.main import app
from openmm_mdgen.generators import registry
from openmm_mdgen.generators.sampler import Sampler
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system, langevin
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.known import KNOWN


@pytest.fixture(scope="module")
def weights():
    return published()


@pytest.fixture
def server(tmp_path, weights, monkeypatch):
    empty_cache(tmp_path / "cache", monkeypatch)
    with HubServer(forward_sim=weights) as server:
        ask_at(monkeypatch, server.endpoint)
        yield server


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return called(monkeypatch, capsys, *words)

    return call


def test_the_list_fits_80_columns_and_names_all(server, command):
    code, out, _ = command("weights")
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    for name in (*checkpoints.bundled(), *KNOWN):
        (row,) = [line.split() for line in out.splitlines() if line.startswith(f"{name} ")]
        assert row[-1] == "MB"
    assert "mdgen/atlas                forward_simulation 1-256    400 ps  300 K   137 MB\n    charmm36m, tip3p" in out
    assert "Licence: MIT. Citation: Jing" in out and "in the cache" not in out
    assert server.asked == []


def test_what_was_fetched_is_listed_as_the_file_says_it(server, command, weights):
    server.files["someone/models/sub/own.ckpt"] = published(seed=1, num_frames=7)
    code, out, _ = command("weights", "fetch", "mdgen/forward_sim")
    assert code == 0 and hashlib.sha256(weights).hexdigest() in out
    assert command("weights", "fetch", "hf://someone/models/sub/own.ckpt")[0] == 0

    code, out, _ = command("weights", "--json")
    listed = {entry["name"]: entry for entry in json.loads(out)}
    ours = listed["mdgen/forward_sim"]
    assert (ours["place"], ours["size"], ours["n_frames"]) == ("cached", len(weights), 4)
    assert (listed["mdgen/atlas"]["place"], listed["mdgen/atlas"]["path"]) == ("not fetched", None)
    (other,) = [entry for name, entry in listed.items() if name.startswith("hf://someone/models/sub/own.ckpt@")]
    assert other["n_frames"] == 7 and other["task"] == "forward_simulation"
    assert checkpoints.load(other["name"])[1].n_frames == 7
    code, out, _ = command("weights")
    assert max(map(len, out.splitlines())) <= 80 or max(map(len, other["name"])) > 80
    assert (
        out.index("Fetched, in the cache") < out.index("mdgen/forward_sim") < out.index("fetched when they are first")
    )


def test_a_damaged_file_does_not_spoil_the_list(server, command):
    command("weights", "fetch", "mdgen/forward_sim")
    checkpoints.find("mdgen/forward_sim").resolve().write_bytes(b"damaged")
    code, out, _ = command("weights", "--json")
    (entry,) = [entry for entry in json.loads(out) if entry["name"] == "mdgen/forward_sim"]
    assert code == 0 and entry["place"] == "not fetched"


def test_a_page_of_each_kind(server, command, weights, tmp_path):
    (tmp_path / "mine.ckpt").write_bytes(weights)
    for name, place in (("forward_peptide", "bundled"), ("mdgen/upsampling", "not fetched"), ("mine.ckpt", "file of")):
        code, out, _ = command("weights", "show", name)
        assert code == 0 and max(len(line) for line in out.splitlines() if "/" not in line) <= 80
        code, out, _ = command("weights", "show", name, "--json")
        page = json.loads(out)
        assert place in page["place"] and page["name"] == name
        assert (page["sha256"] is None) == (place == "not fetched")
    assert page["sha256"] == hashlib.sha256(weights).hexdigest()
    assert page["source"].startswith("tetrapeptides in explicit water (the file names the list")
    assert server.asked == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fetch", "forward_peptide"], "fetch takes mdgen/forward_sim, "),
        (["fetch", "mdgen/atlas"], "mdgen/atlas: repository bjing-mit/mdgen has no file 'atlas.ckpt'"),
        (["show", "nothing"], "no weights at nothing; bundled ones are"),
        (["show", "hf://someone/models/w.ckpt"], "is not in the cache: 'openmm-mdgen weights fetch hf://someone"),
    ],
)
def test_a_wrong_name_is_one_line(server, command, words, says):
    code, out, err = command("weights", *words)
    assert code == 2 and out == "" and says in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["fetch", "show"])
def test_helps_stand_alone(name):
    subcommand = get_command(app).commands["weights"].commands[name]
    assert subcommand.help.strip().endswith(".")
    assert all(len(parameter.help.split()) > 2 and parameter.help.endswith(".") for parameter in subcommand.params)


def test_a_trajectory_by_published_weights_with_and_without_the_hub(server, command, tmp_path, monkeypatch):
    words = ["run", "AKLV", "--generator", "mdgen/forward_sim", "--time", "60ps", "--seed", "3"]
    made = []
    for out in ("first", "second"):
        code, _, err = command(*words, "--ode-solver", "euler", "--out", f"{out}.dcd")
        assert code == 0, err
        made.append(mdtraj.load(str(tmp_path / f"{out}.dcd"), top=str(tmp_path / f"{out}.pdb")).xyz)
        ask_at(monkeypatch, NOBODY)
    assert len(made[0]) == 6 and np.array_equal(*made)
    assert len(server.transfers()) == 1


def test_weights_are_taken_by_name_wherever_they_are_taken(server, tmp_path):
    server.files["bjing-mit/mdgen/upsampling.ckpt"] = published(
        cond_interval=100, num_frames=200, suffix="", train_split="splits/4AA_implicit_train.csv"
    )
    assert Sampler.load("mdgen/forward_sim", device="cpu").info.temperature == 350.0
    with pytest.warns(
        UserWarning, match="'upsampling' were trained on MD in .*gbn2.xml at 350 K, and 'forward_sim' in"
    ):
        filled = registry.loaded("mdgen/forward_sim", "mdgen/upsampling", device="cpu")
    assert filled.frame_interval == 0.1 and filled.forward.force_field != filled.upsampling.force_field
    topology, _ = build_peptide("AKLV")
    integrator = langevin(temperature=350, step_size=0.004, seed=1)
    with pytest.warns(UserWarning, match="in implicit solvent, and the generator was trained in explicit water"):
        made = MDGenSimulation(topology, implicit_system(topology), integrator, generator="mdgen/forward_sim")
    assert made.generator.name == "forward_sim"


def test_weights_that_were_fine_tuned_keep_licence_and_citation(server, command, tmp_path):
    flow, info = checkpoints.load("mdgen/forward_sim")
    tuned = replace(info, about={"fine_tuned_from": {"name": info.name, **info.about}})
    checkpoints.save(tmp_path / "tuned.safetensors", flow, tuned)
    _, out, _ = command("weights", "show", "tuned.safetensors")
    assert "licence      MIT" in out and "Jing, Stärk" in out and "as the file states them" in out
