"""What ``openmm-mdgen info`` says of all that the package writes, and of what it does not."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from called import called
from models import INFO, small_forward_flow
from openmm_mdgen import MDGenSimulation
from openmm_mdgen.generators.registry import loaded
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.production import planned
from openmm_mdgen.md.production import simulate as produce
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.model import checkpoints

BUNDLED = Path(checkpoints.find("forward_peptide"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    return path


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return called(monkeypatch, capsys, *words)

    return call


@pytest.fixture
def info(command):
    """The facts that are printed as JSON; the page for readers has to be there too."""

    def call(path):
        code, out, errors = command("info", path, "--json")
        assert code == 0 and errors == "", errors
        code, page, errors = command("info", path)
        assert code == 0 and errors == "" and page.startswith("file ")
        return json.loads(out)

    return call


def test_a_trajectory_tells_how_it_was_made(command, info, weights, monkeypatch):
    words = ("run", "AKGS", "--time", "40ps", "--seed", 3, "--generator", weights, "--replicas", 2)
    assert command(*words)[0] == 0
    for name in ("traj_000.dcd", "traj_001.dcd", "traj.pdb", "traj.manifest.json"):
        facts = info(name)
        assert facts["state"] == "finished" and facts["seed"] == 3 and facts["settings"]["time"] == "0.04ns"
        assert facts["command"].endswith(f"run AKGS --time 40ps --seed 3 --generator {weights} --replicas 2")
        assert facts["weights"]["name"] == "small" and facts["versions"]["openmm"] == version("openmm")
        assert facts["about"]["frames"] == 4 and facts["outputs"] == ["traj.pdb", "traj_000.dcd", "traj_001.dcd"]
    monkeypatch.setenv("COLUMNS", "60")
    _, page, _ = command("info", "traj_000.dcd")
    assert "temperature 350 K; frame_interval 10 ps" in " ".join(page.split())
    assert all(len(line) <= 60 or len(line.split()[-1]) > 40 for line in page.splitlines())  # checksums are not broken
    facts = info("traj.checkpoint.npz")
    assert "checkpoint of a run" in facts["what"] and facts["frames"] == 4


def test_folders_of_runs_and_of_lists_are_known(command, info, weights, tmp_path):
    (tmp_path / "list.csv").write_text("name,seqres\none,AKGS\ntwo,AKGSA\n")
    words = ("run", "list.csv", "--time", "30ps", "--seed", 3, "--generator", weights, "--workers", 1, "--out", "runs")
    assert command(*words)[0] == 2
    facts = info("runs")
    assert (facts["what"], facts["runs"], facts["finished"]) == ("runs of a list", 2, 1)
    assert "5 residues" in facts["failed"]["two"]
    facts = info("runs/one")
    assert facts["what"] == "the folder of a run" and facts["about"]["frames"] == 3
    shutil.copy("runs/one/one.manifest.json", "runs/one/other.manifest.json")
    assert info("runs/one")["manifests"] == {"one.manifest.json": "finished", "other.manifest.json": "finished"}


def test_weights_starts_states_and_training_runs_are_known(info, weights, tmp_path):
    facts = info(BUNDLED)
    assert facts["what"] == "weights" and facts["task"] == "forward_simulation" and len(facts["sha256"]) == 64
    arrays = {"positions": np.zeros((5, 3)), "iterations": 7, "energy": -1.0, "rms_force": 2.0, "end": "limit"}
    np.savez(tmp_path / "a.start.npz", format="openmm_mdgen start 2", key="x", **arrays)
    assert info("a.start.npz")["iterations"] == 7
    topology, positions = build_peptide("AKGS")
    simulation = MDGenSimulation(
        topology,
        implicit_system(topology),
        openmm.LangevinMiddleIntegrator(350 * unit.kelvin, 1 / unit.picosecond, 0.004 * unit.picosecond),
        openmm.Platform.getPlatformByName("Reference"),
        generator=loaded(weights),
        seed=11,
    )
    simulation.context.setPositions(positions)
    simulation.step(2500)
    simulation.saveCheckpoint("a.chk")
    simulation.saveState("a.xml")
    for name, kind in (("a.chk", "checkpoint"), ("a.xml", "state")):
        facts = info(name)
        assert facts["what"].startswith(f"a {kind} of an MDGenSimulation") and facts["seed"] == 11
        assert facts["weights"]["name"] == "small" and "1 segments" in facts["record"]


def test_folders_of_real_md_are_known(info, tmp_path):
    protocol = MDProtocol(duration=0.2, frame_interval=0.1, equilibration=0.1)
    produce(planned(["GG"], replicas=1, seed=1), tmp_path / "md", protocol, platform="Reference")
    facts = info("md")
    assert facts["systems"] == 1 and facts["names"] == ["GG"]
    assert info("md/GG")["source"] == "GG" and info("md/GG/protocol.json")["frame_interval"] == 0.1


def test_reports_have_manifests(command, info, weights):
    command("run", "AKGS", "--time", "400ps", "--seed", 3, "--generator", weights, "--out", "a.dcd")
    words = (
        "--top",
        "a.pdb",
        "--frame-interval",
        "10ps",
        "--reference-interval",
        "10ps",
        "--clusters",
        4,
        "--states",
        2,
    )
    code, _, errors = command(
        "evaluate", "a.dcd", "--reference", "a.dcd", *words, "--json", "b.json", "--lagtime", "10ps"
    )
    assert code == 0, errors
    facts = info("b.json")
    assert facts["settings"]["clusters"] == 4 and facts["settings"]["lagtime"] == "10ps" and facts["seed"] == 137
    assert len(facts["inputs"]["a.dcd"]) == 64
    assert facts["warnings"] if errors else "warnings" not in facts


@pytest.mark.parametrize("name", ["a.dcd", "a.json", "a.npz", "a.chk", "a.xml", "a.ckpt", "folder"])
def test_what_is_not_ours_is_called_so(command, tmp_path, name):
    if name == "folder":
        (tmp_path / name).mkdir()
    elif name.endswith(".npz"):
        np.savez(tmp_path / name, positions=np.zeros(3))
    elif name.endswith(".xml"):
        (tmp_path / name).write_text('<?xml version="1.0" ?>\n<State/>\n')
    else:
        (tmp_path / name).write_text("{}")
    code, out, errors = command("info", name)
    assert code == 2 and out == "" and f"{name} is nothing of openmm-mdgen" in errors and len(errors.splitlines()) == 1


def test_weights_that_are_cut_off_are_called_so(command, tmp_path):
    (tmp_path / "a.safetensors").write_text("{}")
    code, out, errors = command("info", "a.safetensors")
    assert code == 2 and out == "" and "a.safetensors cannot be read as weights" in errors and "make it again" in errors


def test_a_trajectory_without_its_manifest_and_a_name_of_weights(command, weights, tmp_path):
    command("run", "AKGS", "--time", "40ps", "--seed", 3, "--generator", weights)
    shutil.move("traj.dcd", "other.dcd")
    assert "no manifest beside it names it" in command("info", "other.dcd")[2]
    assert "openmm-mdgen weights show" in command("info", "forward_peptide")[2]


def test_a_checkpoint_that_is_cut_short_is_called_so(command, tmp_path, weights):
    from openmm_mdgen.simulation.restart import add_to_checkpoint

    data = add_to_checkpoint(b"openmm", {"seed": np.array(1)})
    (tmp_path / "a.chk").write_bytes(data[:-5])
    code, _, errors = command("info", "a.chk")
    assert code == 2 and "cut short or damaged" in errors


def test_the_manifest_replaces_nothing_of_others(command, weights, tmp_path):
    topology, positions = build_peptide("AKGS")
    for name in ("a.pdb", "b.pdb"):
        with open(name, "w") as file:
            app.PDBFile.writeFile(topology, positions, file)
    (tmp_path / "paths").mkdir()
    (tmp_path / "paths" / "manifest.json").write_text("mine")
    code, _, errors = command("interpolate", "a.pdb", "b.pdb", "--out", "paths")
    assert code == 2 and "manifest.json is where the manifest is to be, and holds something else" in errors
    assert (tmp_path / "paths" / "manifest.json").read_text() == "mine"
