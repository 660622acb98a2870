"""Runs that are killed and given again: equal to those that were not, with nothing left over and nothing done twice."""

import importlib.util
import json
import os
import random
import signal
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from called import called
from models import INFO, small_forward_flow
from openmm_mdgen.files import os as files_os
from openmm_mdgen.generators.forward import MoleculePropagator
from openmm_mdgen.md.growing import Growing
from openmm_mdgen.model import checkpoints
from openmm_mdgen.runs import completing, long_run
from openmm_mdgen.runs.checkpoints import Checkpoint

INTERVAL = 10  # ps, of the small model's frames, of which a segment has five
FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, to spare them the imports")
NEEDS_TABLES = pytest.mark.skipif(importlib.util.find_spec("tables") is None, reason="HDF5 needs PyTables")
ENDINGS = ("h5", "pdb", "checkpoint.npz", "manifest.json")
DCD_HEADER = 276  # which holds the date


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    return path


@pytest.fixture
def command(weights, tmp_path, monkeypatch, capsys):
    """Runs ``openmm-mdgen run AKGS`` in an empty folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(long_run, "_SHARE", 1e9)  # a checkpoint after each segment, which costs as much as a small one

    def call(*arguments, structure="AKGS"):
        words = ["run", structure, "--generator", str(weights), *map(str, arguments)]
        return called(monkeypatch, capsys, *words)

    return call


def killed(command, *arguments, set_up):
    """Run the command in a process of its own, in which `set_up` arranges for a kill; gives whether it was killed."""
    child = os.fork()
    if child == 0:
        set_up()
        command(*arguments)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def at_frame(number):
    """Kill in the middle of the writing of a frame, so many frames after the process began."""

    def set_up():
        write, left = Growing.write, [number]

        def tearing(self, frame):
            left[0] -= 1
            if left[0] < 0:
                with open(self.path, "ab") as file:
                    file.write(b"torn" * 11)
                os.kill(os.getpid(), signal.SIGKILL)
            write(self, frame)

        Growing.write = tearing

    return set_up


def at_rename(suffix):
    """Kill when the first file of a name is to be put in place."""

    def set_up():
        replace = os.replace

        def killing(source, target):
            if str(target).endswith(suffix):
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        files_os.replace = killing

    return set_up


def names(folder):
    return {path.name for path in folder.iterdir()}


def frames(path):
    """All that files of one run have alike; an HDF5 file also holds the second in which it was made."""
    if path.suffix == ".h5":
        read = mdtraj.load(str(path))
        return read.xyz.tobytes(), read.time.tobytes(), read.topology
    data = path.read_bytes()
    return data[:8] + data[8:48] + data[DCD_HEADER:] if path.suffix == ".dcd" else data


@FORK
@pytest.mark.parametrize(
    ("suffix", "replicas", "n_kills", "n_frames"),
    [
        pytest.param(".dcd", 1, 10, 150, marks=pytest.mark.slow),
        (".dcd", 1, 2, 25),
        (".xtc", 2, 3, 40),
        (".nc", 1, 2, 25),
        (".trr", 1, 1, 15),
        pytest.param(".h5", 2, 2, 25, marks=NEEDS_TABLES),
    ],
)
def test_a_run_that_is_killed_is_the_undisturbed_one(
    command, tmp_path, monkeypatch, suffix, replicas, n_kills, n_frames
):
    common = ("--time", f"{n_frames * INTERVAL}ps", "--replicas", replicas)
    counted = tmp_path / "segments"
    draw = MoleculePropagator.segments

    def counting(self, *arguments):
        with open(counted, "a") as file:
            file.write("x")
        return draw(self, *arguments)

    monkeypatch.setattr(MoleculePropagator, "segments", counting)
    command(*common, "--out", f"whole{suffix}", "--seed", 3)
    once = counted.stat().st_size
    rng = random.Random(replicas)
    rare = {1: at_rename(".npz"), 4: at_rename(".json")}
    for k in range(n_kills):
        set_up = rare.get(k) or at_frame(rng.randrange(6 * replicas, 13 * replicas))
        assert killed(command, *common, "--out", f"cut{suffix}", *(["--seed", 3] if k == 0 else []), set_up=set_up)
    code, out, errors = command(*common, "--out", f"cut{suffix}")  # the seed is remembered
    assert code == 0 and errors == "" and "goes on after" in out and "seed 3" in out
    spent = counted.stat().st_size - once
    assert once < spent <= once + n_kills and (n_kills < 10 or spent <= 1.5 * once)
    tails = [""] if replicas == 1 else ["_000", "_001"]
    for tail in tails:
        assert frames(tmp_path / f"cut{tail}{suffix}") == frames(tmp_path / f"whole{tail}{suffix}")
    assert (tmp_path / "cut.pdb").read_bytes() == (tmp_path / "whole.pdb").read_bytes()
    left = {
        "segments",
        "whole.pdb",
        "whole.checkpoint.npz",
        "whole.manifest.json",
        *(f"whole{t}{suffix}" for t in tails),
    }
    assert names(tmp_path) == left | {name.replace("whole", "cut") for name in left}
    made = json.loads((tmp_path / "cut.manifest.json").read_text())
    assert made["is_finished"] and made["seed"] == 3 and made["about"]["frames"] == n_frames


def test_a_finished_run_says_so_and_another_one_is_refused(command, tmp_path):
    code, out, _ = command("--time", "60ps", "--seed", 5)
    assert code == 0
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    code, out, errors = command("--time", "60ps")
    assert code == 0 and errors == ""
    assert out == "traj.dcd: finished already, 6 frames, seed 5; --extend adds to it, --force starts it anew\n"
    for words, structure, says in (
        (("--time", "60ps", "--seed", 6), "AKGS", "a run with seed 5, asked for 6: choose another name, or pass"),
        (("--time", "60ps", "--ph", 3), "AKGS", "ph 7.0, asked for 3.0"),
        (("--time", "60ps", "--evaluations", 9), "AKGS", "evaluations by default, asked for 9"),
        (("--time", "60ps"), "AKGG", "structure AKGS, asked for AKGG"),
        (("--time", "60ps", "--replicas", 2), "AKGS", "replicas 1, asked for 2"),
        (("--time", "60ps", "--out", "traj.xtc"), "AKGS", "format .dcd, asked for .xtc"),
        (("--time", "90ps"), "AKGS", "time 0.06ns, asked for 0.09ns: lengthen it with --extend, choose another name"),
        (("--time", "60ps", "--report-interval", "20ps"), "AKGS", "report-interval by default, asked for 0.02ns"),
    ):
        code, out, errors = command(*words, structure=structure)
        assert code == 2 and out == "" and says in errors and "--force to start anew" in errors, errors
        assert len(errors.splitlines()) == 1
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    code, out, _ = command("--time", "60ps", "--seed", 6, "--force")
    assert code == 0 and "seed 6" in out


@pytest.mark.parametrize(
    ("options", "files"),
    [
        (("--out", "a.dcd"), ["a.dcd"]),
        (("--out", "a.xtc", "--report-interval", "30ps"), ["a.xtc"]),
        (("--out", "a.dcd", "--replicas", 2, "--report-interval", "30ps"), ["a_000.dcd", "a_001.dcd"]),
        (("--out", "a.nc"), ["a.nc"]),
        pytest.param(("--out", "a.h5", "--replicas", 2), ["a_000.h5", "a_001.h5"], marks=NEEDS_TABLES),
    ],
)
def test_a_run_is_lengthened_as_if_it_had_been_longer_from_the_start(command, tmp_path, options, files):
    """90 ps are no whole number of segments, so what is left of the last one is used."""
    (tmp_path / "whole").mkdir()
    os.chdir(tmp_path / "whole")
    command(*options, "--time", "240ps", "--seed", 2)
    os.chdir(tmp_path)
    code, _, errors = command(*options, "--extend", "90ps")
    assert code == 2 and "--extend: there is no run at --out to add to" in errors
    command(*options, "--time", "90ps", "--seed", 2)
    code, _, errors = command(*options, "--extend", "85ps")
    assert code == 2 and "--extend 85ps: a report is" in errors
    code, out, errors = command(*options, "--extend", "90ps")
    assert code == 0 and errors == "" and "goes on after" in out
    command(*options, "--time", "90ps", "--extend", "60ps")
    for name in files:
        assert frames(tmp_path / name) == frames(tmp_path / "whole" / name)
    code, out, _ = command(*options, "--time", "90ps")
    assert code == 0 and "finished already" in out
    assert json.loads((tmp_path / "a.manifest.json").read_text())["about"]["added"] == [90.0, 60.0]


@FORK
def test_an_extension_that_was_killed_is_taken_up_and_not_added_twice(command, tmp_path):
    command("--time", "60ps", "--seed", 2)
    assert killed(command, "--extend", "120ps", set_up=at_frame(8))
    code, out, _ = command("--extend", "120ps")
    assert code == 0 and "of 18 frames" in out and mdtraj.load("traj.dcd", top="traj.pdb").n_frames == 18
    assert "24 frames" in command("--extend", "60ps")[1]


@FORK
@NEEDS_TABLES
@pytest.mark.parametrize(
    "moment", ["before the file", "before the checkpoint that tells of it", "before the last step"]
)
def test_a_run_that_is_killed_while_hdf5_is_completed_is_the_undisturbed_one(command, tmp_path, moment):
    """HDF5 cannot grow safely: frames are in another file until all are there."""

    def set_up():
        if moment == "before the file":
            return at_rename(".h5")()
        if moment == "before the checkpoint that tells of it":
            complete = completing.completed
            long_run.completed = lambda *arguments: (complete(*arguments), at_rename(".npz")())[0]
        unlink = Path.unlink

        def killing(self, missing_ok=False):
            if self.name == "cut.growing.nc" and (tmp_path / "cut.h5").exists():
                os.kill(os.getpid(), signal.SIGKILL)
            unlink(self, missing_ok)

        Path.unlink = killing

    words = ("--time", "100ps")
    command(*words, "--out", "whole.h5", "--seed", 3)
    assert killed(command, *words, "--out", "cut.h5", "--seed", 3, set_up=set_up)
    assert (tmp_path / "cut.growing.nc").is_file()
    assert (tmp_path / "cut.h5").is_file() == (moment != "before the file")
    code, _, errors = command(*words, "--out", "cut.h5")
    assert code == 0 and errors == ""
    assert frames(tmp_path / "cut.h5") == frames(tmp_path / "whole.h5")
    assert names(tmp_path) == {f"{name}.{end}" for name in ("cut", "whole") for end in ENDINGS}
    assert mdtraj.load("cut.h5").n_frames == 10  # it holds its topology
    (tmp_path / "other.growing.nc").write_bytes(b"mine")
    code, _, errors = command(*words, "--out", "other.h5")
    assert code == 2 and "other.growing.nc exists: choose another name, or pass --force" in errors


def test_files_that_were_changed_are_not_gone_on_with(command, tmp_path):
    command("--time", "60ps", "--seed", 2)
    whole = (tmp_path / "traj.dcd").read_bytes()
    (tmp_path / "traj.dcd").write_bytes(whole[:-4] + b"gone")
    code, _, errors = command("--extend", "60ps")
    assert code == 2 and "traj.dcd is not as the run left it: put it back as it was" in errors
    (tmp_path / "traj.dcd").write_bytes(whole[:-100])
    code, _, errors = command("--time", "60ps")
    assert code == 2 and "traj.dcd is not as the run left it" in errors
    (tmp_path / "traj.dcd").unlink()
    (tmp_path / "traj.pdb").unlink()
    code, out, _ = command("--time", "60ps", "--seed", 9)  # nothing is there: it begins anew
    assert code == 0 and "seed 9" in out
    (tmp_path / "traj.checkpoint.npz").write_bytes(b"mine")
    code, _, errors = command("--time", "60ps")
    assert code == 2 and "traj.checkpoint.npz cannot be read as the checkpoint of a run" in errors
    (tmp_path / "traj.checkpoint.npz").unlink()
    assert command("--time", "60ps")[0] == 0
    code, _, errors = command("--extend", "60ps")
    assert code == 2 and "the checkpoint of traj.dcd is gone, so nothing can be added to it" in errors
    (tmp_path / "b.manifest.json").write_text("{}")
    code, _, errors = command("--time", "60ps", "--out", "b.dcd")
    assert code == 2 and "b.manifest.json is where the manifest is to be, and holds something else" in errors


def test_two_runs_of_one_file_are_refused(command, tmp_path):
    outputs = long_run.Outputs.of(tmp_path / "traj.dcd", 1)
    with outputs.reserved():
        code, _, errors = command("--time", "60ps")
    assert code == 2 and "another run writes traj.dcd: wait for it, or choose another name" in errors
    assert not names(tmp_path)


def test_checkpoints_take_a_small_share_of_the_time(command, tmp_path, monkeypatch):
    """Ten seconds a segment, and one a checkpoint: with a share of 5 % there is one after each two segments."""
    now, saved = [0.0], []
    monkeypatch.setattr(long_run, "_SHARE", 0.05)
    monkeypatch.setattr(long_run.clock, "perf_counter", lambda: now[0])
    draw, save = MoleculePropagator.segments, long_run.Checkpoint.save

    def drawing(self, *arguments):
        now[0] += 10
        return draw(self, *arguments)

    def saving(self, path):
        now[0] += 1
        saved.append(self.n_reports)
        save(self, path)

    monkeypatch.setattr(MoleculePropagator, "segments", drawing)
    monkeypatch.setattr(long_run.Checkpoint, "save", saving)
    command("--time", "370ps", "--seed", 1)
    assert saved == [5, 15, 25, 35, 37]


def test_environment_that_has_changed_is_told(command, tmp_path):
    command("--time", "60ps", "--seed", 2)
    path = tmp_path / "traj.manifest.json"
    made = json.loads(path.read_text())
    assert made["command"][1:3] == ["run", "AKGS"] and len(made["weights"]["sha256"]) == 64
    assert (
        made["machine"]["device"] == "cpu"
        and made["machine"]["threads"] == 1
        and made["machine"]["precision"] == "float32"
        and made["warnings"] == []
    )
    assert made["conditions"] == {"temperature": 350.0, "frame_interval": 10.0, "force_field": INFO.force_field}
    made["versions"]["torch"] = "2.9.0"
    path.write_text(json.dumps(made))
    code, _, errors = command("--extend", "60ps")
    assert code == 0 and errors.startswith("warning: the run was begun with torch 2.9.0, now ")
    assert json.loads(path.read_text())["warnings"] == [errors.removeprefix("warning: ").strip()]


@pytest.mark.parametrize("suffix", [".dcd", ".xtc"])
def test_a_full_disk_keeps_what_was_written(command, tmp_path, monkeypatch, suffix):
    flushed = Growing.flush
    left = [3]

    def filling(self):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device", str(self.path))
        return flushed(self)

    monkeypatch.setattr(Growing, "flush", filling)
    words = ("--time", "200ps", "--out", f"a{suffix}")
    code, _, errors = command(*words, "--seed", 1)
    assert code == 2 and len(errors.splitlines()) == 1
    assert "No space left on device" in errors and f"15 of 20 frames are in a{suffix}: to go on, give" in errors
    assert mdtraj.load(f"a{suffix}", top="a.pdb").n_frames == 15
    left[0] = 100
    code, out, _ = command(*words)
    assert code == 0 and f"a{suffix}: goes on after 15 of 20 frames" in out
    command("--time", "200ps", "--out", f"b{suffix}", "--seed", 1)
    assert frames(tmp_path / f"a{suffix}") == frames(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(
        mdtraj.load(f"a{suffix}", top="a.pdb").xyz, mdtraj.load(f"b{suffix}", top="b.pdb").xyz
    )


@pytest.mark.parametrize("is_written", [True, False])
def test_a_stop_while_a_checkpoint_is_written_keeps_what_is_on_disk(command, tmp_path, monkeypatch, is_written):
    """The first checkpoint of a run: before its file appears nothing is left, after it everything is."""
    save = Checkpoint.save

    def stopped(self, path):
        if is_written:
            save(self, path)
        raise OSError(5, "stopped here", str(path))

    monkeypatch.setattr(Checkpoint, "save", stopped)
    words = ("--time", "200ps", "--out", "a.dcd")
    code, _, errors = command(*words, "--seed", 1)
    assert code == 2 and "stopped here" in errors
    names = {path.name for path in tmp_path.iterdir()} & {"a.dcd", "a.pdb", "a.checkpoint.npz", "a.manifest.json"}
    assert len(names) == (4 if is_written else 0)
    monkeypatch.setattr(Checkpoint, "save", save)
    code, out, _ = command(*words, *([] if is_written else ["--seed", 1]))
    assert code == 0 and ("goes on after" in out) == is_written
