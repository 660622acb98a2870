"""``openmm-mdgen run`` with generators of other packages: the example as installed, samples without times, redraws."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from called import called
from packages import install

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "another_generator"


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs ``openmm-mdgen run`` in an empty folder; gives exit code, output and errors."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*words):
        return called(monkeypatch, capsys, "run", *words)

    return call


@pytest.fixture
def generators(tmp_path, monkeypatch):
    """A package on the path with generators of several kinds."""
    source = "from wandering import WanderingGenerator as W\n"
    source += "def frames(*, device): return W(every=2)\n"
    source += "def samples(*, device): return W(frame_interval=None, n_frames=3)\n"
    source += "def faulty(*, device): return W(share_invalid=0.1)\n"
    source += "def useless(*, device): return W(share_invalid=1.0)\n"
    names = {name: f"kinds:{name}" for name in ("frames", "samples", "faulty", "useless")}
    monkeypatch.syspath_prepend(str(install(tmp_path / "site", "kinds-package", names, {"kinds": source})))
    yield
    sys.modules.pop("kinds", None)


def test_the_example_runs_from_the_command_line_as_an_installed_package(tmp_path):
    project = (EXAMPLE / "pyproject.toml").read_text()
    name, target = re.search(r'"openmm_mdgen.generators"\]\n(\w+) = "(.+)"', project).groups()
    site = install(tmp_path / "site", "torsion-walk", {name: target})
    shutil.copy(EXAMPLE / "torsion_walk.py", site)
    program = "from openmm_mdgen.commands.main import main; main()"
    words = ["run", "AKLV", "--generator", name, "--time", "300ps", "--report-interval", "4ps", "--seed", "3"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "traj.dcd: 75 frames, topology traj.pdb, seed 3; 0.3 ns generated" in done.stdout
    assert "evaluations" not in done.stdout
    start = mdtraj.load(tmp_path / "traj.pdb")
    trajectory = mdtraj.load(tmp_path / "traj.dcd", top=start)
    for a, b in start.topology.bonds:
        lengths = np.linalg.norm(trajectory.xyz[:, a.index] - trajectory.xyz[:, b.index], axis=-1)
        assert np.abs(lengths - np.linalg.norm(start.xyz[0, a.index] - start.xyz[0, b.index])).max() < 1e-3, (a, b)
    for measure in (mdtraj.compute_phi, mdtraj.compute_psi):
        away = measure(trajectory)[1] - measure(start)[1]
        spread = np.rad2deg(np.sqrt(np.mean(np.angle(np.exp(1j * away)) ** 2)))
        assert 8 < spread < 22  # 15 degrees in the long run


def test_frames_of_some_atoms_leave_the_others_where_they_are(command, generators):
    code, out, errors = command("AGS", "--generator", "frames", "--time", "20ps", "--seed", 1, "--replicas", 2)
    assert code == 0 and errors == "" and "10 frames each" in out
    start = mdtraj.load("traj.pdb").xyz[0]
    for name in ("traj_000.dcd", "traj_001.dcd"):
        moved = np.abs(mdtraj.load(name, top="traj.pdb").xyz - start).max(axis=(0, 2))
        assert (moved[::2] > 1e-3).all() and (moved[1::2] < 2e-4).all()  # a PDB file has three digits of an ångström


@pytest.mark.parametrize("suffix", ["dcd", "xtc"])
def test_independent_samples_are_written_without_times(command, generators, suffix):
    from openmm_mdgen.times import even_interval

    words = ("AGS", "--generator", "samples", "--samples", 7, "--seed", 1, "--out", f"a.{suffix}")
    code, out, errors = command(*words)
    assert code == 0 and errors == ""
    assert f"a.{suffix}: 7 independent samples, which have no times, topology a.pdb, seed 1; generated in" in out
    assert "ns" not in out.split("seed 1")[1].replace("generated", "")
    samples = mdtraj.load(f"a.{suffix}", top="a.pdb")
    assert samples.n_frames == 7 and len(np.unique(samples.xyz[:, 0, 0])) == 7
    if suffix == "xtc":
        assert even_interval(samples.time) is None
    else:
        (step,) = np.frombuffer(Path("a.dcd").read_bytes()[44:48], dtype=np.float32)
        assert step == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("samples", "--time", "1ns"), "--time: this generator gives independent samples, which have no order in time"),
        (("frames", "--samples", 5), "with a frame each 2 ps; ask for their length with --time, such as --time 10ps"),
        (("frames",), "give either --time"),
        (("samples", "--samples", 5, "--time", "1ns"), "give either --time"),
        (("samples", "--samples", 5, "--replicas", 2), "--replicas: independent samples need no replicas"),
        (("samples", "--samples", 5, "--report-interval", "1ns"), "--report-interval: independent samples"),
        (("frames", "--time", "3ps"), "--time 3ps: a report is 2 ps, take 2ps or 4ps"),
        (("frames", "--time", "4ps", "--evaluations", 9), "'kinds-package' (kinds:frames) has no option evaluations"),
        (("useless", "--time", "4ps", "--replicas", 2), "10 segments in a row"),
        (("nobody", "--time", "4ps"), "installed packages offer faulty, frames, samples, useless"),
    ],
    ids=lambda x: " ".join(map(str, x)) if isinstance(x, tuple) else "",
)
def test_what_cannot_be_is_refused_in_a_line(command, generators, tmp_path, words, says):
    code, out, errors = command("AGS", "--generator", *words)
    assert code == 2 and out == "" and says in errors
    assert errors.startswith("error: ") and len(errors.splitlines()) == 1
    assert not any((tmp_path / "work").iterdir())


@pytest.mark.parametrize("replicas", [1, 2])
def test_segments_drawn_anew_are_told(command, generators, replicas):
    code, out, _ = command("AGS", "--generator", "faulty", "--time", "80ps", "--seed", 1, "--replicas", replicas)
    assert code == 0
    assert re.search(r"\n[1-9]\d* segments were drawn anew: the generator called frames of them invalid\n", out)
