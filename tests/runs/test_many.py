"""Runs of a list on workers: none is done twice, and lost workers and clients leave them as they would have been."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mdtraj
import psutil
import pytest
from distributed import Client

from called import called
from models import INFO, small_forward_flow
from openmm_mdgen.commands.run import run_one
from openmm_mdgen.commands.terminal import minimisation, progress_bar
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.minimisation import Iteration
from openmm_mdgen.model import checkpoints
from openmm_mdgen.runs import many
from openmm_mdgen.runs.long_run import Outputs
from openmm_mdgen.runs.many import Task, carry_out, connected

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    return path


@pytest.fixture(scope="module")
def client():
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        yield client


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return called(monkeypatch, capsys, *words)

    return call


def rows(path):
    with open(path, newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def after_header(path):
    return path.read_bytes()[276:]


def test_a_list_is_run_and_what_is_finished_is_not_done_again(command, client, weights, tmp_path):
    (tmp_path / "list.csv").write_text("name,seqres\nfirst,AKGS\nlong,AKGSA\nsecond,GGAG\n")
    words = ("run", "list.csv", "--time", "50ps", "--seed", 3, "--generator", weights, "--replicas", 2, "--out", "runs")
    words += ("--scheduler", client.scheduler.address)
    code, out, errors = command(*words)
    assert code == 2 and "runs: 4 of 6 runs finished, listed in runs/summary.csv" in out
    assert errors.startswith("error: long_0: ") and "5 residues" in errors and errors.rstrip().endswith("; 1 more")
    found = rows("runs/summary.csv")
    assert list(found) == ["first_0", "first_1", "long_0", "long_1", "second_0", "second_1"]
    assert (
        found["first_1"]["state"] == "finished"
        and found["first_1"]["frames"] == "5"
        and "5 residues" in found["long_0"]["state"]
    )
    seeds = {row["seed"] for row in found.values() if row["seed"]}
    assert len(seeds) == 4
    made = json.loads(Path("runs/second_0/second_0.manifest.json").read_text())
    assert made["command"] == ["openmm-mdgen", *map(str, words)]
    command(
        "run",
        "AKGS",
        "--time",
        "50ps",
        "--seed",
        found["first_1"]["seed"],
        "--generator",
        weights,
        "--out",
        "alone.dcd",
    )
    assert after_header(tmp_path / "alone.dcd") == after_header(Path("runs/first_1/first_1.dcd"))
    before = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/*.dcd")}
    (tmp_path / "list.csv").write_text("name,seqres\nfirst,AKGS\nsecond,GGAG\n")
    code, out, errors = command(*words)
    assert code == 0 and "4 of 4 runs finished" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_list_is_written_in_the_format_that_is_asked_for(command, client, weights, tmp_path):
    (tmp_path / "list.csv").write_text("seqres\nAKGS\n")
    words = ("run", "list.csv", "--time", "30ps", "--seed", 3, "--generator", weights, "--out", "runs")
    words += ("--scheduler", client.scheduler.address)
    code, _, errors = command(*words, "--format", "xtc")
    assert code == 0, errors
    assert rows("runs/summary.csv")["AKGS"]["trajectory"] == str(tmp_path / "runs/AKGS/AKGS.xtc")
    assert mdtraj.load("runs/AKGS/AKGS.xtc", top="runs/AKGS/AKGS.pdb").n_frames == 3
    code, _, errors = command(*words)
    assert code == 2 and "format" in errors and not (tmp_path / "runs/AKGS/AKGS.dcd").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list.csv", "--time", "50ps", "--out", "a.dcd"), "--out a.dcd: runs of a list need a folder"),
        (("list.csv", "--samples", 5, "--out", "a"), "--samples goes with one structure"),
        (("empty.csv", "--time", "50ps", "--out", "a"), "empty.csv lists no sequence"),
        (("AKGS", "--time", "50ps", "--workers", 2), "--scheduler and --workers go with a list of sequences"),
        (
            ("list.csv", "--time", "1ps", "--out", "a", "--scheduler", "nowhere"),
            "--scheduler nowhere: no scheduler of dask",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(command, tmp_path, words, says):
    (tmp_path / "list.csv").write_text("seqres\nAKGS\n")
    (tmp_path / "empty.csv").write_text("seqres\n")
    code, out, errors = command("run", *words)
    assert code == 2 and out == "" and says in errors and len(errors.splitlines()) == 1


def test_a_run_that_another_process_still_writes_is_waited_for(client, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(many, "_SECONDS_BETWEEN_LOOKS", 0.05)
    out = tmp_path / "a" / "a.dcd"
    out.parent.mkdir()
    task = Task("a", run_one, {"structure": "AKGS", "time": "50ps", "out": out, "generator": str(weights)})
    release = threading.Event()

    def other():
        with Outputs.of(out, 1).reserved():
            held.set()
            release.wait(60)

    held = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    held.wait(60)
    threading.Timer(3.0, release.set).start()
    [ended] = carry_out([task], client)
    thread.join()
    assert release.is_set() and ended.error == "" and ended.result.frames == 5


def test_a_task_that_fails_leaves_the_others(client):
    tasks = [Task("good", divmod_of, {"a": 7, "b": 2}), Task("bad", divmod_of, {"a": 7, "b": 0})]
    tasks.append(Task("refused", refuse))
    ended = carry_out(tasks, client)
    assert [one.name for one in ended] == ["good", "bad", "refused"] and ended[0].result == (3, 1)
    assert "ZeroDivisionError" in ended[1].error and ended[2].error == "not this one"


def advance_one_bar():
    with progress_bar("generating", 3) as advance:
        advance(1)
    with minimisation(2) as watch:
        watch(Iteration(1, 0.0, 0.0))


def test_workers_show_no_bars_in_the_clients_terminal(client, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich and others take the error stream for a terminal
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert not carry_out([Task("silent", advance_one_bar)], client)[0].error
    assert capsys.readouterr().err == ""
    advance_one_bar()
    assert "generating" in capsys.readouterr().err


def test_groups_of_real_md_are_shared_out(command, client, tmp_path):
    words = ("--time", "60fs", "--frame-interval", "20fs", "--equilibration", "20fs", "--heating", "0ps")
    words += ("--packed", 2, "--platform", "Reference", "--threads", 1, "--seed", 4)
    shared = ("simulate", "GG", "AG", "SG", *words, "--out", "shared", "--scheduler", client.scheduler.address)
    for _ in range(2):
        code, out, errors = command(*shared)
        assert code == 0 and "3 trajectories" in out, errors
    assert command("simulate", "GG", "AG", "SG", *words, "--out", "alone")[0] == 0
    for name in ("GG", "AG", "SG"):
        assert Path(f"shared/{name}/{name}.xtc").read_bytes() == Path(f"alone/{name}/{name}.xtc").read_bytes()
        assert Path(f"shared/{name}/manifest.json").is_file()


def divmod_of(a, b):
    return divmod(a, b)


def refuse():
    raise MDGenError("not this one")


@pytest.mark.slow
def test_a_worker_and_then_the_client_are_killed(command, weights, tmp_path):
    """All is done, nothing twice, and files are those of runs without faults."""
    sequences = ["AKGS", "GGAG", "AVGA", "AAAA"]
    (tmp_path / "list.csv").write_text("seqres\n" + "\n".join(sequences) + "\n")
    words = ["run", "list.csv", "--time", "2ns", "--seed", "3", "--generator", str(weights), "--out", "runs"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from openmm_mdgen.commands.main import main; main()", *words, "--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    def wait_for(condition):
        deadline = time.monotonic() + 300
        while not condition():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)

    wait_for(lambda: list(tmp_path.glob("runs/*/*.checkpoint.npz")))
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    workers[0].kill()

    def finished():
        manifests = list(tmp_path.glob("runs/*/*.manifest.json"))
        return [path.parent for path in manifests if json.loads(path.read_text())["is_finished"]]

    wait_for(lambda: len(finished()) >= 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for folder in finished() for path in folder.glob("*.dcd")}
    with connected(workers=2) as local:
        code, out, errors = command(*words, "--scheduler", local.scheduler_info()["address"])
    assert code == 0 and "4 of 4 runs finished" in out, errors
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name, row in rows("runs/summary.csv").items():
        alone = ("--time", "2ns", "--seed", row["seed"], "--generator", weights, "--out", f"{name}.dcd")
        assert command("run", name, *alone)[0] == 0
        assert after_header(tmp_path / f"{name}.dcd") == after_header(Path(f"runs/{name}/{name}.dcd"))
        assert {path.name for path in Path(f"runs/{name}").iterdir()} == {
            f"{name}.dcd", f"{name}.pdb", f"{name}.checkpoint.npz", f"{name}.manifest.json"
        }  # fmt: skip


def test_jobs_of_a_batch_system_do_the_runs(command, weights, tmp_path):
    """As docs/many_runs.md has it for SLURM, with dask-jobqueue's stand-in that starts the jobs on this machine."""
    from dask_jobqueue.local import LocalCluster

    (tmp_path / "list.csv").write_text("name,seqres\none,AKGS\ntwo,GGAG\n")
    with LocalCluster(cores=1, processes=1, memory="1GB", python=sys.executable, log_directory=tmp_path) as cluster:
        cluster.scale(jobs=1)
        words = ("--time", "50ps", "--seed", 3, "--generator", weights, "--scheduler", cluster.scheduler_address)
        code, out, errors = command("run", "list.csv", *words, "--out", "runs")
    assert code == 0 and "runs: 2 of 2 runs finished" in out, errors
    assert {row["frames"] for row in rows("runs/summary.csv").values()} == {"5"}
