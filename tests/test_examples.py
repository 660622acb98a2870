"""The scripts in `examples/` and `benchmarks/`: usage, and examples at short size, from a folder that is not theirs.

Those that train are in `tests/training`.
"""

import ast
import ctypes
import re
import runpy
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from called import called
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.md.structures import write_pdb
from structures import peptide

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.rglob("*.py"))
BENCHMARKS = sorted(
    set(EXAMPLES.with_name("benchmarks").glob("*.py")) - {EXAMPLES.with_name("benchmarks") / "shared.py"}
)
RUN_ELSEWHERE = {"own_protein.py", "train_on_gpu.py", "torsion_walk.py"}  # in tests/training and tests/generators
RUN_HERE = {
    "quickstart.py",
    "hybrid_implicit.py",
    "hybrid_explicit.py",
    "explore_then_decide.py",
    "verified_transition.py",
}


@pytest.fixture
def example(tmp_path, monkeypatch, capfd):
    """Runs a script in an empty folder; gives what it prints, libraries in C included."""
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        path = next(path for path in (*SCRIPTS, *BENCHMARKS) if path.name == name)
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, words)])
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as leaving:
            assert leaving.code in (0, None), leaving.code
        ctypes.CDLL(None).fflush(None)
        return capfd.readouterr().out

    return run


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_usage_is_printed_without_arguments_and_says_how_long_it_takes(path, example, tmp_path):
    told = example(path.name, *(["--help"] if path.name == "quickstart.py" else []))
    about = re.search(r'^"""(.*?)"""', path.read_text(encoding="utf-8"), re.S)[1]
    assert about.strip() in told
    assert re.search(r"^Takes .*(seconds|minute|hour|as long)", about, re.M)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_benchmarks_say_what_they_do_and_take(path, example, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(path.parent))
    told = example(path.name, "--help")
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0] in told
    if "given = words(__doc__, " in path.read_text(encoding="utf-8") and path.name != "packed_speed.py":
        assert example(path.name) == told  # which needs words
    assert path.name in (path.parent / "README.md").read_text(encoding="utf-8")
    assert not list(tmp_path.iterdir())


def test_every_script_is_told_of_and_run():
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in SCRIPTS:
        assert path.name in RUN_ELSEWHERE or path.name in RUN_HERE
        assert path.name in told or path.parent.name in told


def whole(trajectory):
    bonds = np.array([(a.index, b.index) for a, b in trajectory.topology.bonds])
    return np.linalg.norm(trajectory.xyz[:, bonds[:, 0]] - trajectory.xyz[:, bonds[:, 1]], axis=-1).max() < 0.2


def test_quickstart_writes_what_it_generated_beside_real_md(example):
    told = example("quickstart.py", "GGAA", "made", "--quick")
    assert len(told.splitlines()) == 1
    generated, md = (mdtraj.load(f"made/quickstart{end}.dcd", top="made/quickstart.pdb") for end in ("", "_md"))
    assert (generated.n_frames, md.n_frames) == (10, 10) and whole(generated) and whole(md)
    assert "0.1 ns of GGAA generated" in told and Path("made/quickstart.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_hybrid_run_of_what_the_command_wrote(example, monkeypatch, capfd):
    assert called(monkeypatch, capfd, "run", "AKLV", "--time", "20ps", "--seed", 1)[0] == 0
    told = example("hybrid_implicit.py", "traj.pdb", "made", "--quick")
    trajectory = mdtraj.load("made/trajectory.dcd", top="made/start.pdb")
    real = np.loadtxt("made/trajectory.mask.csv", delimiter=",", skiprows=1)[:, 2] > 0
    assert trajectory.n_frames == len(real) == 11 and whole(trajectory)
    assert "dcdplugin" not in told
    assert f"11 frames, {real.sum()} of them of real MD" in told and Path("made/segments.csv").is_file()


@pytest.mark.slow
def test_a_hybrid_run_in_water(example):
    told = example("hybrid_explicit.py", "GGG", "made", "--quick")
    trajectory = mdtraj.load("made/peptide.dcd", top="made/peptide.pdb")
    assert trajectory.n_frames == 3 and whole(trajectory) and "of real MD" in told


@pytest.mark.slow
def test_an_exploration_beside_runs_as_simulate_writes_them(example):
    """Runs of 0.2 ns, shorter than the pieces that long ones are cut into."""
    topology, positions = peptide("GGGG")
    for k, run in enumerate(TrajectoryGenerator.load().rollouts(topology, positions, 196, replicas=2, seed=1)):
        folder = Path("md") / f"GGGG_{k}"
        folder.mkdir(parents=True)
        write_pdb(folder / f"GGGG_{k}.pdb", topology, positions)
        run.time = np.arange(1.0, 1 + len(run))  # ps, as real MD has them
        run.save_xtc(str(folder / f"GGGG_{k}.xtc"))
    told = example("explore_then_decide.py", "GGGG", "made", "md", "--quick")
    assert "0.40 ns of real MD in 16 runs" in told
    table = [line for line in told.splitlines() if line.startswith("|")]
    assert table[0].startswith("| | MD, 0.392 ns | explored, then decided |") and len(table) == 5
    assert len(list(Path("made").glob("piece_*.xtc"))) == 16
    with pytest.raises(AssertionError, match="md has runs of GGGG, and none of AKLV"):
        example("explore_then_decide.py", "AKLV", "other", "md", "--quick")


@pytest.mark.slow
def test_a_transition_is_led_and_tested(example):
    told = example("verified_transition.py", "CACS", "made.png", "--quick")
    assert "turns:" in told and "kJ/mol of work" in told and told.count(" ± ") == 5
    assert Path("made.png").stat().st_size > 10_000
