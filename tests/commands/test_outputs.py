"""What a command writes is tried before its work, and what a command that was stopped leaves is nothing."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest

from called import called
from openmm_mdgen.commands.outputs import check_folder, check_outputs
from openmm_mdgen.commands.stops import Stopped, going_on, stoppable
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing

ROOT = Path(__file__).parent.parent.parent
PROC = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
DEAD = 2**22 + 1  # above the largest number of a process


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(words):
        return called(monkeypatch, capsys, *words.split())

    return call


@PROC
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("run AKLV --time 10ps --out /proc/a.dcd", "--out /proc/a.dcd: /proc"),
        ("interpolate a.pdb b.pdb --out /proc/x", "--out /proc/x: /proc"),
        ("design a.dcd --top a.pdb --out /proc/x", "--out /proc/x: /proc"),
        ("upsample a.dcd --top a.pdb --out /proc/a.dcd", "--out /proc/a.dcd: /proc"),
        ("simulate AKLV --time 10ps --out /proc/x/y", "--out /proc/x/y: /proc"),
        ("train md --out /proc/x", "--out /proc/x: /proc"),
        ("fine-tune forward_peptide md --out /proc/x", "--out /proc/x: /proc"),
        ("benchmark --json /proc/a.json", "--json /proc/a.json: /proc"),
        ("table md --weights forward_peptide --json /proc/a.json", "--json /proc/a.json: /proc"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_any_work(command, tmp_path, words, named):
    code, out, errors = command(words)
    assert code == 2 and out == "" and len(errors.splitlines()) == 1 and not list(tmp_path.iterdir())
    assert errors.startswith(f"error: {named} cannot be written to (")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run AKLV --time 10ps --out .", "--out . is a folder: name a file in it, such as traj.dcd"),
        ("run AKLV --time 10ps --out absent/a.dcd", "absent: no such folder"),
        ("benchmark --json .", "--json . is a folder: name a file"),
        ("benchmark --json /dev/null --force", "--json /dev/null is a device"),
    ],
)
def test_outputs_that_are_no_files_are_refused(command, words, message):
    code, out, errors = command(words)
    assert code == 2 and out == "" and message in errors and len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--time 3fs", "--time 0.003ps: a frame is 1 ps, take 1ps"),
        ("--time 1ns --frame-interval 10fs --step-size 4fs", "--frame-interval 0.01ps: a step of the integrator"),
        ("--time 1", "--time '1': give a time above zero with its unit"),
        ("--time 1 ps", "--time 1 ps: write it as one word, --time 1ps"),
    ],
)
def test_times_of_a_simulation_name_their_option(command, tmp_path, options, message):
    code, out, errors = command(f"simulate AKLV --out md {options}")
    assert code == 2 and out == "" and message in errors and len(errors.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MDGenError, match="file is a file: name a folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(MDGenError, match="file/x cannot be written to: .*file is a file; name another folder"):
        check_folder(tmp_path / "file" / "x")
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_input_is_known_by_every_name(tmp_path):
    (tmp_path / "given.pdb").write_text("mine")
    (tmp_path / "link.pdb").symlink_to(tmp_path / "given.pdb")
    with pytest.raises(MDGenError, match="link.pdb is an input"):
        check_outputs([("--out", tmp_path / "link.pdb")], inputs=[tmp_path / "given.pdb"], force=True)


def temporaries(folder):
    return sorted(path.name for path in folder.iterdir() if ".partial" in path.name)


def test_what_a_killed_process_has_left_is_removed_and_what_others_write_is_not(tmp_path):
    host = socket.gethostname().split(".")[0]
    dead, alive = f".a.{host}-{DEAD}.partial.dcd", f".a.{host}-{os.getppid()}.partial.dcd"
    elsewhere, other = f".a.elsewhere-{DEAD}.partial.dcd", f".b.{host}-{DEAD}.partial.dcd"
    for name in (dead, alive, elsewhere, other, ".mine.partial", "a.partial.dcd"):
        (tmp_path / name).write_text("")
    with replacing(tmp_path / "a.pdb") as temporary:
        temporary.write_text("new")
        assert set(temporaries(tmp_path)) == {
            alive, elsewhere, other, ".mine.partial", "a.partial.dcd", temporary.name
        }  # fmt: skip
    check_outputs([("--out", tmp_path / "c.dcd")], force=False)
    assert set(temporaries(tmp_path)) == {alive, elsewhere, ".mine.partial", "a.partial.dcd"}


def test_a_file_that_is_written_as_part_of_another_keeps_its_name(tmp_path):
    with replacing(tmp_path / "a.pdb") as outer, replacing(outer) as inner:
        inner.write_text("x")
        assert inner == outer
    assert (tmp_path / "a.pdb").read_text() == "x" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError, match="absent/a.pdb'"), replacing(tmp_path / "absent" / "a.pdb") as temporary:
        temporary.write_text("x")


def test_a_stop_that_a_library_makes_an_error_of_is_a_stop():
    """As OpenMM does with what is raised in a force of Python's that it calls."""
    system = openmm.System()
    system.addParticle(1.0)

    def stopping(state):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # in which Python hears the signal
        return 0.0, np.zeros((1, 3))

    system.addForce(openmm.PythonForce(stopping))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(np.zeros((1, 3)))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="stopped by SIGTERM: to go on from there") as stopped, stoppable(), going_on():
        context.getState(energy=True)
    assert stopped.value.exit_code == 143 and signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(ValueError, match="mine"), stoppable(), going_on():
        raise ValueError("mine")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_says_how_to_go_on_and_goes_on(tmp_path, number, code):
    words = ["run", "AKLV", "--time", "1us"]  # the seed is drawn
    kept, seeds = [], set()
    for _ in range(2):
        started = subprocess.Popen(
            [sys.executable, "-c", "from openmm_mdgen.commands.main import main; main()", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 120
        before = (tmp_path / "traj.checkpoint.npz").stat().st_mtime_ns if kept else 0
        while not any(path.stat().st_mtime_ns > before for path in tmp_path.glob("traj.checkpoint.npz")):
            assert started.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        started.send_signal(number)
        out, errors = started.communicate(timeout=60)
        assert started.returncode == code
        assert {path.name for path in tmp_path.iterdir()} == {
            "traj.dcd", "traj.pdb", "traj.checkpoint.npz", "traj.manifest.json"
        }  # fmt: skip
        name = {130: "Ctrl-C", 143: "SIGTERM"}[code]
        found = re.fullmatch(
            rf"stopped by {name}: (\d+) of 100000 frames are in traj.dcd; to go on from there, give the same command\n",
            errors,
        )
        assert found and out == ("" if not kept else f"traj.dcd: goes on after {kept[-1]} of 100000 frames\n")
        kept.append(int(found[1]))
        seeds.add(json.loads((tmp_path / "traj.manifest.json").read_text())["seed"])
        assert mdtraj.load(tmp_path / "traj.dcd", top=tmp_path / "traj.pdb").n_frames == kept[-1]
    assert 0 < kept[0] < kept[1] and len(seeds) == 1


def test_ctrl_c_while_the_command_is_loaded_is_a_line(tmp_path):
    """The import of the first command is where the signal comes."""
    code = (
        "import os, signal, sys; sys.argv = ['openmm-mdgen', 'weights']\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells let background work ignore it
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'openmm_mdgen.commands.main': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from openmm_mdgen.__main__ import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 130 and done.stdout == ""
    assert done.stderr == "stopped by Ctrl-C: nothing was begun; to begin, give the same command\n"


def test_the_line_that_makes_another_format_makes_it(command, tmp_path, monkeypatch):
    code, _, errors = command("run AKLV --time 30ps --seed 1 --out traj.txt")
    assert code == 2 and not list(tmp_path.iterdir())
    line = re.search(r"mdconvert traj\.xtc .+", errors)[0]
    assert command("run AKLV --time 30ps --seed 1 --out traj.xtc")[0] == 0
    monkeypatch.setattr(sys, "argv", line.split())
    entry_points(group="console_scripts")["mdconvert"].load()()
    written, made = (mdtraj.load(name, top="traj.pdb") for name in ("traj.xtc", "traj.all.pdb"))
    assert made.n_frames == 3
    np.testing.assert_allclose(made.xyz, written.xyz, atol=1e-4)
