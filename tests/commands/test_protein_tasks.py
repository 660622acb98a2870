"""The commands interpolate and upsample on a protein, with small weights of the published form."""

from pathlib import Path

import mdtraj
import numpy as np
import pytest

from called import called
from openmm_mdgen.commands.trajectories import write_frames
from published_weights import write_published

VILLIN = Path(__file__).parent.parent / "data" / "proteins" / "villin_hp35.pdb"


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return called(monkeypatch, capsys, *map(str, words), "--device", "cpu", "--evaluations", "2")

    return call


@pytest.fixture
def ends():
    """The first structure, and one that differs by the motion of a normal mode's size, as PDB files hold them."""
    first = mdtraj.load(str(VILLIN))
    last = mdtraj.load(str(VILLIN))
    bend = 0.02 * np.sin(np.linspace(0, np.pi, first.n_atoms))[:, None] * np.array([1.0, 0.5, 0.0])
    last.xyz = (first.xyz + bend).astype(np.float32)
    first.save_pdb("start.pdb")
    last.save_pdb("end.pdb")
    return first, last


def test_a_path_of_a_protein_begins_and_ends_as_given(command, ends):
    weights = write_published("path.ckpt", sim_condition=False, tps_condition=True)
    code, out, errors = command(
        "interpolate", "start.pdb", "end.pdb", "--generator", weights, "--out", "paths", "--seed", 1
    )
    assert code == 0, errors
    path = mdtraj.load("paths/path_000.dcd", top="paths/topology.pdb")
    assert path.n_frames == 4 and path.topology.n_residues == 35 and np.isfinite(path.xyz).all()
    for k, given in zip((0, -1), ends, strict=True):
        assert mdtraj.rmsd(path[k], given)[0] < 1e-3


def test_given_frames_of_a_protein_stay(command, ends):
    weights = write_published("fine.ckpt", num_frames=5, cond_interval=2)
    first, last = ends
    given = np.stack([first.xyz[0], last.xyz[0], first.xyz[0]])
    write_frames(Path("md.dcd"), first.topology.to_openmm(), given, 800.0)
    code, out, errors = command(
        "upsample", "md.dcd", "--top", "start.pdb", "--generator", weights, "--out", "fine.dcd", "--seed", 1
    )
    assert code == 0, errors
    fine = mdtraj.load("fine.dcd", top="fine.pdb")
    assert fine.n_frames == 5 and np.isfinite(fine.xyz).all()
    np.testing.assert_allclose(fine.xyz[::2], given, atol=1e-5)


@pytest.mark.parametrize("task", ["interpolate", "upsample"])
def test_what_is_too_long_or_too_large_is_refused_before_work(command, ends, monkeypatch, task):
    changes = {"num_frames": 5, "cond_interval": 2}
    if task == "interpolate":
        changes = {"sim_condition": False, "tps_condition": True}
    first, last = ends
    write_frames(Path("md.dcd"), first.topology.to_openmm(), np.stack([first.xyz[0], last.xyz[0]]), 800.0)
    before = {path.name for path in Path().iterdir()}
    arguments = {
        "interpolate": ["interpolate", "start.pdb", "end.pdb", "--out", "paths"],
        "upsample": ["upsample", "md.dcd", "--top", "start.pdb", "--out", "fine.dcd"],
    }[task]
    short = write_published("short.ckpt", crop=34, **changes)
    code, out, errors = command(*arguments, "--generator", short)
    assert code == 2 and out == "" and "chain of 35 residues" in errors and "at most 34" in errors
    weights = write_published("w.ckpt", **changes)
    monkeypatch.setattr("openmm_mdgen.generators.sampler.available", lambda device: 10**6)
    code, out, errors = command(*arguments, "--generator", weights)
    assert code == 2 and out == "" and "GiB are available" in errors and len(errors.splitlines()) == 1
    assert {path.name for path in Path().iterdir()} == before | {"short.ckpt", "w.ckpt"}
