"""One vocabulary: what an option means and what is printed is the same for all commands."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import unit
from typer.main import get_command

from called import called
from openmm_mdgen.commands.main import app
from openmm_mdgen.commands.words import mended
from openmm_mdgen.manifest import Manifest
from openmm_mdgen.md.kept_seeds import KeptSeeds
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.planning import planned
from openmm_mdgen.md.structures import write_pdb

COMMANDS = {name: command for name, command in get_command(app).commands.items()}
COMMANDS |= {f"weights {name}": command for name, command in COMMANDS["weights"].commands.items()}
WITH_WEIGHTS = ("run", "interpolate", "upsample", "design", "benchmark", "table")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A peptide, and 60 frames near it."""
    folder = tmp_path_factory.mktemp("inputs")
    topology, positions = build_peptide("AKLV", seed=1)
    xyz = np.array(positions.value_in_unit(unit.nanometer))
    (folder / "md").mkdir()
    write_pdb(folder / "md" / "AKLV.pdb", topology, xyz)
    frames = xyz + 0.002 * np.random.default_rng(0).standard_normal((60, *xyz.shape))
    trajectory = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology), time=np.arange(60) * 10.0)
    trajectory.save_xtc(str(folder / "md" / "AKLV.xtc"))
    return folder


@pytest.fixture
def command(inputs, tmp_path, monkeypatch, capsys):
    (tmp_path / "md").symlink_to(inputs / "md")
    monkeypatch.chdir(tmp_path)
    return lambda words: called(monkeypatch, capsys, *words.split())


def options(name):
    return {option: p for p in COMMANDS[name].params for option in getattr(p, "opts", ())}


def test_weights_are_chosen_by_one_option():
    for name in WITH_WEIGHTS:
        assert "--generator" in options(name), name
    assert "--weights" in options("table")  # as it was called before


def test_every_json_takes_a_file_and_every_file_can_be_replaced():
    with_json = [name for name in COMMANDS if "--json" in options(name)]
    assert set(with_json) == {"evaluate", "table", "benchmark", "doctor", "info", "weights", "weights show"}
    for name in with_json:
        assert not getattr(options(name)["--json"], "is_flag", False) and "--force" in options(name), name


def test_times_have_units_everywhere():
    """An option of a time is a text; numbers are of steps, wall times and counts, and say so."""
    for name in COMMANDS:
        for option, parameter in options(name).items():
            if any(word in option for word in ("time", "interval", "extend", "heating", "equilibration", "step-size")):
                if option != "--time-mixer" and not getattr(parameter, "is_flag", False):
                    assert parameter.type_descriptor.annotation is str, (name, option)


def strict(text):
    """JSON without NaN and infinities."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def texts_in_the_place_of_numbers(value, place=""):
    """Where a text says that a number is not there."""
    if isinstance(value, dict):
        rest = {key: one for key, one in value.items() if key not in ("not_defined", "equivalent_in_words")}
        return [found for key, one in rest.items() for found in texts_in_the_place_of_numbers(one, f"{place}.{key}")]
    if isinstance(value, list):
        return [found for one in value for found in texts_in_the_place_of_numbers(one, place)]
    is_text = isinstance(value, str) and (
        value.startswith("not defined") or value.lower() in ("nan", "inf", "infinity")
    )
    return [place] if is_text else []


def missing_without_a_reason(content):
    """Names of numbers at the top of a dictionary that are null without a reason."""
    return [name for name, value in content.items() if value is None and name not in content["not_defined"]]


def test_json_has_numbers_or_null_with_the_reason_beside(command, tmp_path):
    source = "md/AKLV.xtc --reference md/AKLV.xtc --top md/AKLV.pdb"
    for words in (
        f"evaluate {source}",
        "table md --generated md",
        "benchmark AKLV --seconds 0.2 --packed 0 --platform Reference --seed 1",
        "weights",
        "weights show forward_peptide",
        "info md/AKLV.xtc.json",
    ):
        if words.startswith("info"):
            command(f"evaluate {source} --json md_AKLV.json --force")
            words = "info md_AKLV.manifest.json"
        code, _, errors = command(f"{words} --json all.json --force")
        assert code == 0, errors
        written = strict((tmp_path / "all.json").read_text())
        assert texts_in_the_place_of_numbers(written) == [], words
        if not words.startswith("benchmark"):  # which would take its time again
            code, out, errors = command(f"{words} --json")
            assert code == 0 and strict(out) == written, errors
        if "not_defined" in written:
            assert missing_without_a_reason(written) == [] and written["not_defined"], words
        for manifest in tmp_path.glob("*.manifest.json"):
            strict(manifest.read_text())


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("x --json", "x --json -"),
        ("--json x", "--json - x"),
        ("--json --force x", "--json - --force x"),
        ("x --json y", "x --json y"),
        ("x --json -", "x --json -"),
    ],
)
def test_a_bare_json_prints(words, meant):
    assert mended(words.split(), needs_argument=True) == meant.split()


def test_a_bare_json_before_a_command_of_weights_prints():
    assert mended(["--json", "show"], names={"show"}) == ["--json", "-", "show"]


def test_an_old_spelling_still_serves(command):
    code, out, errors = command("table md --weights absent")
    assert code == 2 and "no weights at absent" in errors and out == ""


def test_a_seed_of_md_that_is_drawn_is_kept_until_it_stands_in_the_protocol(tmp_path):
    systems = planned(["AKLV", "AG"], replicas=1)
    assert planned(["AKLV"], replicas=1)[0].seed != systems[0].seed
    KeptSeeds(tmp_path / "o").keep(systems)
    again = KeptSeeds(tmp_path / "o").taken_up(planned(["AG", "AKLV"], replicas=1))
    assert {s.name: s.seed for s in again} == {s.name: s.seed for s in systems}
    (tmp_path / "o" / "AG").mkdir()
    (tmp_path / "o" / "AG" / "protocol.json").write_text(json.dumps({"seed": 5}))
    kept = KeptSeeds(tmp_path / "o")
    assert [s.seed for s in kept.taken_up(planned(["AG"], replicas=1, seed=1))] == [5]
    kept.drop(systems)
    assert not (tmp_path / "o" / "seeds.json").exists()
    (tmp_path / "o" / ".group-0").mkdir()
    assert KeptSeeds(tmp_path / "o").are_of_an_older_version and not KeptSeeds(tmp_path).are_of_an_older_version


def started(words, folder, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "openmm_mdgen", *words.split()]
    return subprocess.run(command, cwd=folder, env=environment, text=True, **options)


def test_stdout_carries_results_only(inputs, tmp_path):
    """Of the process as a whole, libraries in C included; the two commands that call most of them."""
    (tmp_path / "md").symlink_to(inputs / "md")
    run = started("run AKLV --time 30ps --out a.dcd --seed 1", tmp_path, capture_output=True)
    [line] = run.stdout.splitlines()
    assert run.returncode == 0 and line.startswith("a.dcd: 3 frames") and run.stderr == ""
    small = "--frames 5 --steps 2 --batch-size 2 --width 16 --layers 1 --heads 2"
    train = started(f"train md --out new {small}", tmp_path, capture_output=True)
    [line] = train.stdout.splitlines()
    assert train.returncode == 0 and line == "1 trajectories; weights in new/weights.safetensors"
    for told in ("Epoch", "lightning.ai", "dcdplugin", "UserWarning", "TPU", "num_workers", "/site-packages/"):
        assert told not in train.stderr, train.stderr
    read = started(
        "evaluate a.dcd --reference a.dcd --top a.pdb --frame-interval 10ps --json -", tmp_path, capture_output=True
    )
    assert strict(read.stdout)["generated"]["n_frames"] == 3 and read.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_behind_the_output_is_told(tmp_path):
    with open("/dev/full", "w") as full:
        done = started("weights", tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "No space left" in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows end otherwise")
def test_a_reader_of_info_that_goes_away_is_told_nothing(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        weights = ROOT / "openmm_mdgen" / "weights" / "forward_peptide.safetensors"
        done = started(f"info {weights}", tmp_path, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert done.returncode == 1 and done.stderr == ""


def test_what_is_drawn_is_told_and_in_the_manifest(command, tmp_path):
    code, out, errors = command("run AKLV --time 10ps --out a.dcd")
    seed = Manifest.read(tmp_path / "a.manifest.json").seed
    assert code == 0 and f"seed {seed};" in out, errors
    assert command("run AKLV --time 10ps --out a.dcd")[1].startswith("a.dcd: finished already, 1 frames, seed")
    assert math.isfinite(seed)
