"""The commands interpolate, upsample and design, from their arguments to the files they leave."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import app, unit

from called import called
from models import small_flow
from openmm_mdgen.commands.trajectories import write_frames
from openmm_mdgen.md.designed_peptides import PeptideBuilder
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.structures import write_pdb
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.tasks import Inpainting, Interpolation, Upsampling
from torsion_walks import place, walk

SEQUENCE = "VSAL"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for task, n_frames, interval in [(Interpolation(), 6, 10.0), (Upsampling(3), 7, 0.5), (Inpainting((1, 2)), 6, 1.5)]:
        info = ModelInfo("small", n_frames, interval, 350.0, ode_solver="euler")
        checkpoints.save(folder / f"{type(task).__name__}.safetensors", small_flow(task), info)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """md.dcd and md.xtc of 9 frames each 1.5 ps, md.pdb, and two single frames without hydrogens."""
    folder = tmp_path_factory.mktemp("data")
    trajectory = place(SEQUENCE, {k: v for k, v in walk(9, 1).items()}, interval=1.5)
    topology = trajectory.topology.to_openmm()
    write_pdb(folder / "md.pdb", topology, trajectory.xyz[0])
    write_frames(folder / "md.dcd", topology, trajectory.xyz, 1.5)
    trajectory.save_xtc(folder / "md.xtc")
    for name, frame in (("start", 0), ("end", 8)):
        heavy = trajectory[frame].atom_slice(trajectory.topology.select("element != H"))
        write_pdb(folder / f"{name}.pdb", heavy.topology.to_openmm(), heavy.xyz[0])
    return folder


@pytest.fixture
def command(weights, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder with small weights; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    tasks = {"interpolate": "Interpolation", "upsample": "Upsampling", "design": "Inpainting"}

    def call(name, *arguments, generator=None):
        chosen = generator or weights / f"{tasks[name]}.safetensors"
        words = [name, *map(str, arguments), "--device", "cpu", "--evaluations", "4"]
        words += [] if chosen == "default" else ["--generator", str(chosen)]
        return called(monkeypatch, capsys, *words)

    return call


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_other_formats_hold_the_same_frames_and_their_times(command, data, tmp_path):
    found = {}
    for kind, tolerance in (("dcd", 0), ("xtc", 6e-4), ("trr", 1e-6), ("nc", 1e-7)):
        words = ("--top", data / "md.pdb", "--seed", 1, "--out", f"fine.{kind}", "--force")
        assert command("upsample", data / "md.dcd", *words)[0] == 0
        words = ("--seed", 1, "--out", "paths", "--format", kind, "--force")
        assert command("interpolate", data / "start.pdb", data / "end.pdb", *words)[0] == 0
        fine = mdtraj.load(f"fine.{kind}", top="fine.pdb")
        path = mdtraj.load(f"paths/path_000.{kind}", top="paths/topology.pdb")
        found[kind] = fine, path
        for made, like in zip(found[kind], found["dcd"], strict=True):
            np.testing.assert_allclose(made.xyz, like.xyz, atol=tolerance)
        if kind != "dcd":  # of which mdtraj reads no times
            np.testing.assert_allclose(fine.time, 0.5 * np.arange(fine.n_frames), rtol=1e-6)
            np.testing.assert_allclose(path.time, 10 * np.arange(path.n_frames), rtol=1e-6)


def test_interpolate_writes_paths_that_begin_and_end_as_asked(command, data, tmp_path):
    ends = data / "start.pdb", data / "end.pdb"
    code, out, errors = command("interpolate", *ends, "--time", "50ps", "--paths", 2, "--seed", 1, "--out", "paths")
    assert code == 0 and errors == ""
    assert names(tmp_path / "paths") == {"path_000.dcd", "path_001.dcd", "topology.pdb", "manifest.json"}
    assert "6 frames each, 10 ps apart" in out and "seed 1" in out
    heavy = [mdtraj.load(str(path)) for path in ends]
    for name in ("path_000.dcd", "path_001.dcd"):
        path = mdtraj.load(f"paths/{name}", top="paths/topology.pdb")
        assert path.n_frames == 6
        path = path.atom_slice(path.topology.select("element != H"))
        for k, given in zip((0, -1), heavy, strict=True):
            assert mdtraj.rmsd(path[k], given)[0] < 1e-3


def test_the_same_seed_gives_the_same_paths(command, data):
    for folder in ("a", "b"):
        command("interpolate", data / "start.pdb", data / "end.pdb", "--seed", 3, "--out", folder)
    one, two = (mdtraj.load(f"{folder}/path_000.dcd", top="a/topology.pdb").xyz for folder in ("a", "b"))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("suffix", ["dcd", "xtc"])
def test_upsample_fills_in_and_keeps(command, data, tmp_path, suffix):
    code, out, errors = command(
        "upsample", data / f"md.{suffix}", "--top", data / "md.pdb", "--factor", 3, "--seed", 1, "--out", "fine.dcd"
    )
    assert code == 0 and errors == ""
    assert names(tmp_path) == {"fine.dcd", "fine.pdb", "fine.manifest.json"}
    fine = mdtraj.load("fine.dcd", top="fine.pdb")
    given = mdtraj.load(str(data / f"md.{suffix}"), top=str(data / "md.pdb"))
    assert fine.n_frames == 8 * 3 + 1 and "25 frames, 0.5 ps apart" in out
    np.testing.assert_allclose(fine.xyz[::3], given.xyz, atol=1e-5)


@pytest.mark.parametrize("suffix", ["dcd", "xtc"])
def test_design_writes_sequences_with_counts_and_structures(command, data, tmp_path, suffix):
    options = ["--residues", "2,3", "--samples", 3, "--seed", 1, "--out", "d"]
    options += [] if suffix == "dcd" else ["--format", suffix]
    code, out, errors = command("design", data / "md.dcd", "--top", data / "md.pdb", *options)
    assert code == 0 and errors == ""
    with open("d/designs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["count"]) for row in rows) == 3 and "3 samples" in out
    assert names(tmp_path / "d") == {"designs.csv", "manifest.json"} | {
        f"{r['sequence']}.{e}" for r in rows for e in ("pdb", suffix)
    }
    for row in rows:
        assert row["sequence"][0] == "V" and row["sequence"][3] == "L"
        design = mdtraj.load(f"d/{row['sequence']}.{suffix}", top=f"d/{row['sequence']}.pdb")
        assert design.n_frames == 6 * int(row["count"]) and np.isfinite(design.xyz).all()


def test_what_exists_is_kept_unless_forced(command, data):
    arguments = ["interpolate", data / "start.pdb", data / "end.pdb", "--seed", 1, "--out", "p"]
    assert command(*arguments)[0] == 0
    code, _, errors = command(*arguments)
    assert code == 2 and "--force" in errors
    assert command(*arguments, "--force")[0] == 0


def test_ends_of_two_molecules_are_refused_before_anything_is_written(command, data, tmp_path):
    topology, positions = build_peptide("VSAG", seed=0)
    with open(tmp_path / "other.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions.in_units_of(unit.angstrom), file)
    code, _, errors = command("interpolate", data / "start.pdb", "other.pdb", "--out", "p")
    assert code == 2 and "one molecule" in errors and not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["interpolate", "start.pdb", "end.pdb", "--out", "p", "--time", "1ns"], "50 ps"),
        (["interpolate", "start.pdb", "nowhere.pdb", "--out", "p"], "no such file"),
        (["upsample", "md.dcd", "--top", "md.pdb", "--factor", "10"], "upsample by 3"),
        (["upsample", "md.dcd", "--top", "md.pdb", "--frame-interval", "10ps"], "1.5 ps"),
        (["upsample", "md.dcd", "--top", "md.pdb", "--out", "fine.gro"], "ends in .dcd, .xtc, .trr, .nc or .h5"),
        (["interpolate", "start.pdb", "end.pdb", "--out", "p", "--format", "gro"], "give dcd, xtc, trr, nc or h5"),
        (["upsample", "start.pdb", "--top", "start.pdb"], "one frame"),
        (["design", "md.dcd", "--top", "md.pdb", "--out", "d", "--residues", "2,9"], "residue"),
        (["design", "md.dcd", "--top", "md.pdb", "--out", "d", "--residues", "0"], "from 1"),
        (["design", "md.dcd", "--top", "md.pdb", "--out", "d", "--residues", "1,2,3,4"], "all residues"),
        (["design", "md.dcd", "--top", "md.pdb", "--out", "d", "--residues", "1,2"], "SER 2"),
        (["design", "md.dcd", "--top", "md.pdb", "--out", "d", "--frame-interval", "1ps"], "1 ps"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_mistakes_are_one_line(command, data, tmp_path, arguments, says):
    given = [str(data / word) if (data / word).exists() else word for word in arguments]
    code, out, errors = command(*given)
    assert code == 2 and out == "" and says in errors
    assert errors.startswith("error: ") and len(errors.splitlines()) == 1
    assert names(tmp_path) == set()


def test_weights_of_another_task_are_refused(command, data, weights):
    other = weights / "Upsampling.safetensors"
    code, _, errors = command("interpolate", data / "start.pdb", data / "end.pdb", "--out", "p", generator=other)
    assert code == 2 and "needs weights for interpolation" in errors


def test_missing_default_weights_are_named(command, data, monkeypatch):
    monkeypatch.setattr("openmm_mdgen.model.checkpoints.bundled", lambda: [])
    code, _, errors = command("design", data / "md.dcd", "--top", data / "md.pdb", "--out", "d", generator="default")
    assert code == 2 and "inpainting_tetrapeptide" in errors


def test_design_with_bundled_weights_has_to_be_told_that_chance_is_accepted(command, tmp_path):
    steps = np.linspace(-1, 1, 60)
    md = place("VSAL", {(1, "PSI"): steps, (2, "PHI"): steps - 1.5}, interval=2.0)
    md[0].save_pdb("md.pdb")
    md.save_xtc("md.xtc")
    words = ("design", "md.xtc", "--top", "md.pdb", "--samples", 1, "--seed", 1, "--out", "d", "--ode-solver", "euler")
    code, out, errors = command(*words, generator="default")
    assert code == 2 and out == "" and "--accept-chance" in errors and not (tmp_path / "d").exists()
    code, out, errors = command(*words, "--accept-chance", generator="default")
    assert code == 0 and errors == "" and "1 samples, 1 sequences" in out


@pytest.mark.parametrize("name", ["upsample", "design"])
def test_a_trajectory_that_holds_its_topology_needs_no_other(command, data, tmp_path, name):
    mdtraj.load(str(data / "md.xtc"), top=str(data / "md.pdb")).save_pdb(str(tmp_path / "all.pdb"))
    out = "fine.dcd" if name == "upsample" else "designs"
    code, _, errors = command(name, "all.pdb", "--out", out, "--seed", 1, "--frame-interval", "1.5ps")
    assert code == 0 and errors == ""
    code, _, errors = command(name, data / "md.xtc", "--out", "other.dcd")
    assert (
        code == 2 and errors == "error: md.xtc holds no topology: name a file that does by --top, such as a PDB file\n"
    )


def test_weights_of_another_task_are_refused_in_words(command, data, weights):
    wrong = weights / "Interpolation.safetensors"
    code, _, errors = command("upsample", data / "md.xtc", "--top", data / "md.pdb", generator=wrong)
    assert code == 2 and errors == (
        "error: weights 'small' are for interpolation, and this needs weights for upsampling: load others, such as "
        "'upsampling_tetrapeptide'\n"
    )


def test_an_interval_that_does_not_fit_is_told_without_names_of_python(command, data):
    words = ("upsample", data / "md.xtc", "--top", data / "md.pdb", "--frame-interval", "3ps")
    code, _, errors = command(*words)
    assert code == 2 and "or state the frame interval if the file's times are wrong" in errors
    assert "frame_interval" not in errors


def test_a_trajectory_that_is_cut_says_so(command, data, tmp_path):
    whole = (data / "md.dcd").read_bytes()
    frame = (len(whole) - 276) // 9
    (tmp_path / "cut.dcd").write_bytes(whole[: 276 + 6 * frame + 40])
    code, out, errors = command("upsample", "cut.dcd", "--top", data / "md.pdb", "--out", "fine.dcd")
    assert code == 0 and "its header counts 9 frames, and 6 are there: it seems to be cut short" in errors
    assert mdtraj.load("fine.dcd", top="fine.pdb").n_frames == 5 * 3 + 1
    whole = (data / "md.xtc").read_bytes()
    (tmp_path / "cut.xtc").write_bytes(whole[: len(whole) // 2])
    code, _, errors = command("upsample", "cut.xtc", "--top", data / "md.pdb", "--out", "other.dcd")
    assert code == 2 and "cut.xtc cannot be read to its end, which seems to be cut short" in errors


def test_readers_print_nothing(data, tmp_path):
    """Lines of readers in C go past Python: they are looked for in a process of its own."""
    script = (
        "import sys; from openmm_mdgen.analysis.sources import TrajectoryFile, pieces\n"
        "print(sum(piece.n_frames for piece in pieces(TrajectoryFile(sys.argv[1], sys.argv[2]))))"
    )
    words = [sys.executable, "-c", script, str(data / "md.dcd"), str(data / "md.pdb")]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert done.stdout == "9\n" and done.stderr == ""


def test_a_design_that_is_stopped_leaves_nothing_in_its_own_way(command, data, tmp_path, monkeypatch):
    whole, asked = PeptideBuilder.all_atoms, []

    def stopped(self, design):
        asked.append(design.sequence)
        if len(asked) == 6:  # the last one
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)  # in which Python hears the signal
        return whole(self, design)

    monkeypatch.setattr(PeptideBuilder, "all_atoms", stopped)
    words = ("design", data / "md.dcd", "--top", data / "md.pdb", "--samples", 6, "--seed", 1, "--out", "d")
    code, out, errors = command(*words)
    assert (code, out) == (130, "") and len(set(asked)) > 1
    assert errors == (
        "stopped by Ctrl-C: output files that were not complete have been removed; to begin again, give the same "
        "command\n"
    )
    assert not (tmp_path / "d").exists()
    assert command(*words)[0] == 0 and (tmp_path / "d" / "designs.csv").exists()


def test_designs_never_replace_what_was_there(command, data, tmp_path):
    """Names of designs are not known beforehand, so any file that is named as one is looked at."""
    top = tmp_path / "VSAL.pdb"
    shutil.copy(data / "md.pdb", top)
    words = ("design", data / "md.dcd", "--top", top, "--out", ".", "--samples", 2, "--seed", 1)
    code, _, errors = command(*words, "--force")
    assert code == 2 and "VSAL.pdb is an input" in errors
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "AAAL.dcd").write_text("mine")
    code, _, errors = command(*words[:-5], "other", "--samples", 2)
    assert code == 2 and "AAAL.dcd exists" in errors and (tmp_path / "other" / "AAAL.dcd").read_text() == "mine"
