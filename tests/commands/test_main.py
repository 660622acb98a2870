"""The command, from its arguments to the files it leaves."""

import struct
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import app, unit

from called import called
from models import INFO, SMALL, random_flow, small_forward_flow
from openmm_mdgen import __version__
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Tokenizer
from structures import molecules

INTERVAL = 10  # ps, of the small model's frames


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    return path


@pytest.fixture
def command(weights, tmp_path, monkeypatch, capsys):
    """Runs ``openmm-mdgen run`` in an empty folder with the small weights; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, subcommand="run", generator=weights):
        options = ["--generator", str(generator)] if subcommand == "run" else []
        words = [subcommand, *map(str, arguments), *options]
        return called(monkeypatch, capsys, *words)

    return call


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def dcd_timing(path: Path) -> tuple[int, int, float]:
    """First step, steps between frames and step size (ps) of a DCD header."""
    header = path.read_bytes()[:92]
    _, first, between = struct.unpack_from("<3i", header, 8)
    (step_size,) = struct.unpack_from("<f", header, 44)
    return first, between, step_size * 0.0488882


def test_a_sequence_becomes_a_trajectory_beside_its_topology(command, tmp_path):
    code, out, errors = command("APLV", "--time", "120ps", "--seed", 7)  # --out is traj.dcd by default
    assert code == 0 and errors == ""
    assert names(tmp_path) == {"traj.dcd", "traj.pdb", "traj.checkpoint.npz", "traj.manifest.json"}
    assert "traj.dcd: 12 frames, topology traj.pdb, seed 7; 0.12 ns" in out and len(out.splitlines()) == 1
    trajectory = mdtraj.load("traj.dcd", top="traj.pdb")
    assert trajectory.n_frames == 12
    assert "".join(r.code for r in trajectory.topology.residues) == "APLV"
    start = mdtraj.load("traj.pdb")
    for first, second in trajectory.topology.bonds:  # atoms are in the topology's order: bonds are bonds
        length = np.linalg.norm(trajectory.xyz[:, first.index] - trajectory.xyz[:, second.index], axis=-1)
        expected = np.linalg.norm(start.xyz[0, first.index] - start.xyz[0, second.index])
        allowed = 0.02 if {first.name, second.name} != {"C", "N"} else 1
        assert np.abs(length - expected).max() < allowed, (first, second)
    assert dcd_timing(tmp_path / "traj.dcd") == pytest.approx((2500, 2500, 0.004))


def test_the_start_is_minimised_and_not_written(command, tmp_path):
    command("GGAG", "--time", "10ps", "--seed", 1, "--out", "a.xtc")
    trajectory, start = mdtraj.load("a.xtc", top="a.pdb"), mdtraj.load("a.pdb")
    assert trajectory.n_frames == 1 and trajectory.time[0] == INTERVAL
    assert np.abs(trajectory.xyz[0] - start.xyz[0]).max() > 1e-3
    _, built = build_peptide("GGAG", seed=1)
    assert np.abs(start.xyz[0] - built.value_in_unit(unit.nanometer)).max() > 1e-3


def test_one_seed_gives_one_file_and_another_seed_another(command, tmp_path):
    for out, seed in (("a.dcd", 3), ("b.dcd", 3), ("c.dcd", 4)):
        command("AKGS", "--time", "70ps", "--seed", seed, "--out", out)
    a, b, c = ((tmp_path / f"{name}.dcd").read_bytes() for name in "abc")
    frames = 276  # after a header that holds the date
    assert a[frames:] == b[frames:] and a[frames:] != c[frames:]


def test_a_seed_that_is_drawn_is_told_and_reproduces_the_run(command, tmp_path):
    _, out, _ = command("AKGS", "--time", "20ps", "--out", "a.dcd")
    seed = out.split("seed ")[1].split(";")[0]
    command("AKGS", "--time", "20ps", "--seed", seed, "--out", "b.dcd")
    np.testing.assert_array_equal(mdtraj.load("a.dcd", top="a.pdb").xyz, mdtraj.load("b.dcd", top="b.pdb").xyz)


@pytest.mark.parametrize("suffix", [".dcd", ".xtc"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_longer_report_interval_leaves_frames_out(command, tmp_path, suffix, replicas):
    common = ("ASTG", "--time", "120ps", "--seed", 5, "--replicas", replicas)
    command(*common, "--out", f"all{suffix}")
    command(*common, "--out", f"third{suffix}", "--report-interval", "30ps")
    for tail in [""] if replicas == 1 else ["_000", "_001"]:
        every = mdtraj.load(f"all{tail}{suffix}", top="all.pdb")
        third = mdtraj.load(f"third{tail}{suffix}", top="third.pdb")
        assert every.n_frames == 12
        np.testing.assert_array_equal(third.xyz, every.xyz[2::3])
        if suffix == ".xtc":
            np.testing.assert_allclose(third.time, [30, 60, 90, 120])
            np.testing.assert_allclose(every.time, np.arange(1, 13) * INTERVAL)
        else:
            assert dcd_timing(tmp_path / f"third{tail}.dcd") == pytest.approx((7500, 7500, 0.004))


def test_replicas_share_a_start_and_differ(command, tmp_path):
    code, out, _ = command("AVGA", "--time", "70ps", "--seed", 5, "--out", "r.dcd", "--replicas", 3)
    assert code == 0 and "r_000.dcd to r_002.dcd: 7 frames each" in out and "0.21 ns" in out
    assert names(tmp_path) == {
        "r.pdb", "r_000.dcd", "r_001.dcd", "r_002.dcd", "r.checkpoint.npz", "r.manifest.json"
    }  # fmt: skip
    first, second, third = (mdtraj.load(f"r_00{k}.dcd", top="r.pdb").xyz for k in range(3))
    assert len(first) == len(second) == len(third) == 7
    assert np.abs(first - second).max() > 1e-3 and np.abs(second - third).max() > 1e-3


def test_a_complete_pdb_file_keeps_its_atoms_their_order_and_numbers(command, tmp_path):
    topology, positions = build_peptide("HADE", seed=1)
    for residue in topology.residues():
        residue.id = str(100 + residue.index)
    with open(tmp_path / "in.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions, file, keepIds=True)
    before = (tmp_path / "in.pdb").read_bytes()
    code, _, errors = command("in.pdb", "--time", "20ps", "--out", "out.dcd")
    assert code == 0, errors
    lines = [[line[:30] for line in open(name) if line.startswith("ATOM")] for name in ("in.pdb", "out.pdb")]
    assert lines[0] == lines[1]
    assert (tmp_path / "in.pdb").read_bytes() == before
    assert mdtraj.load("out.dcd", top="in.pdb").n_atoms == topology.getNumAtoms()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("AKLV", "--time", "10", "--out", "a.dcd"), "--time '10': give a time above zero with its unit"),
        (("AKLV", "--time", "10", "ps", "--out", "a.dcd"), "--time 10 ps: write it as one word, --time 10ps"),
        (("AKLV", "--time", "0ns", "--out", "a.dcd"), "above zero"),
        (("AKLV", "--time", "-5ns", "--out", "a.dcd"), "above zero"),
        (("AKLV", "--time", "105ps", "--out", "a.dcd"), "--time 105ps: a report is 10 ps, take 100ps or 110ps"),
        (("AKLV", "--time", "1ps", "--out", "a.dcd"), "take 10ps"),
        (("AKLV", "--time", "1ns", "--out", "a.dcd", "--report-interval", "15ps"), "take 10ps or 20ps"),
        (("AKLV", "--time", "1ns", "--out", "a.dcd", "--report-interval", "30ps"), "take 990ps or 1020ps"),
        (("AKLV", "--time", "1ns", "--out", "a.gro"), "ends in .dcd, .xtc, .trr, .nc or .h5"),
        (("AKLV", "--time", "1ns", "--out", "absent/a.dcd"), "absent: no such folder"),
        (("AKXV", "--time", "1ns", "--out", "a.dcd"), "neither a PDB file"),
        (("absent.pdb", "--time", "1ns", "--out", "a.dcd"), "absent.pdb: no such file"),
        (("AKLVA", "--time", "1ns", "--out", "a.dcd"), "5 residues"),
        (("AKLV", "--time", "1ns", "--out", "a.dcd", "--device", "abacus"), "abacus"),
        (("AKLV", "--time", "1ns", "--out", "a.dcd", "--replicas", 0), "replicas"),
        (("AKLV", "--time", "1ns", "--out", "a.dcd", "--seed", -1), "seed"),
    ],
)
def test_a_mistake_is_told_in_a_line_before_any_work(command, tmp_path, arguments, message):
    code, out, errors = command(*arguments)
    assert code == 2 and out == "" and not names(tmp_path)
    assert message in " ".join(errors.split()) and "Traceback" not in errors
    if errors.startswith("error:"):
        assert len(errors.splitlines()) == 1


def test_what_is_changed_in_a_structure_is_told(command, tmp_path):
    cases = Path(__file__).parent.parent / "data" / "cases"
    code, out, errors = command(cases / "hip.pdb", "--time", "10ps", "--out", "a.dcd", "--seed", 1)
    assert code == 0, errors
    told, summary = out.splitlines()
    assert told.endswith("hip.pdb: 29 hydrogens added for pH 7, HIP 2 as named") and summary.startswith(
        "a.dcd: 1 frames"
    )
    made = [line[12:20].split() for line in open("a.pdb") if line[22:26].strip() == "2"]
    assert {"HD1", "HE2"} <= {atom for atom, _ in made} and {residue for _, residue in made} == {"HIP"}
    code, out, errors = command(cases / "two.pdb", "--time", "10ps", "--out", "b.dcd")
    assert code == 2 and out == "" and "the TER between them is missing" in errors and len(errors.splitlines()) == 1


def test_lower_case_and_ph_are_taken(command, tmp_path):
    command("GKES", "--time", "10ps", "--out", "a.dcd", "--seed", 1)
    command("gkes", "--time", "10ps", "--out", "b.dcd", "--seed", 1)
    assert (tmp_path / "a.pdb").read_text() == (tmp_path / "b.pdb").read_text()
    code, _, errors = command("GKES", "--time", "10ps", "--out", "c.dcd", "--seed", 1, "--ph", 2)
    assert code == 0, errors
    assert mdtraj.load("c.pdb").n_atoms == mdtraj.load("a.pdb").n_atoms + 1  # GLU is neutral
    code, _, errors = command("GKES", "--time", "10ps", "--out", "d.dcd", "--ph", 15)
    assert code == 2 and "--ph" in errors


def test_unknown_weights_are_refused(command, tmp_path):
    code, _, errors = command("AKLV", "--time", "1ns", "--out", "a.dcd", generator="no_such_weights")
    assert code == 2 and "no weights at no_such_weights" in errors and not names(tmp_path)


def test_files_that_exist_are_replaced_only_with_force(command, tmp_path):
    for name in ("a.dcd", "b.pdb", "c_001.dcd"):
        (tmp_path / name).write_text("mine")
    for out, replicas, culprit in (("a.dcd", 1, "a.dcd"), ("b.dcd", 1, "b.pdb"), ("c.dcd", 2, "c_001.dcd")):
        code, _, errors = command("AKGS", "--time", "10ps", "--out", out, "--replicas", replicas)
        assert code == 2 and f"{culprit} exists" in errors
    assert names(tmp_path) == {"a.dcd", "b.pdb", "c_001.dcd"}
    code, _, _ = command("AKGS", "--time", "10ps", "--out", "a.dcd", "--force")
    assert code == 0 and mdtraj.load("a.dcd", top="a.pdb").n_frames == 1


def test_the_input_is_never_replaced(command, tmp_path):
    topology, positions = build_peptide("AKGS")
    with open(tmp_path / "pep.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions, file)
    before = (tmp_path / "pep.pdb").read_bytes()
    code, _, errors = command("pep.pdb", "--time", "10ps", "--out", "pep.dcd", "--force")
    assert code == 2 and "pep.pdb is an input" in errors
    assert names(tmp_path) == {"pep.pdb"} and (tmp_path / "pep.pdb").read_bytes() == before


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_run_that_fails_leaves_nothing_and_keeps_what_was_there(command, tmp_path, replicas):
    broken = tmp_path / "broken.safetensors"
    config = FlowConfig(NetworkConfig(**SMALL), Tokenizer(), ForwardSimulation())
    checkpoints.save(broken, random_flow(config, scale=1e18), INFO)
    out = tmp_path / ("old.dcd" if replicas == 1 else "old_000.dcd")
    out.write_text("mine")
    arguments = ("AKGS", "--time", "100ps", "--out", "old.dcd", "--replicas", replicas, "--force")
    code, _, errors = command(*arguments, generator=broken)
    assert code == 2 and "not finite" in errors and len(errors.splitlines()) == 1
    assert names(tmp_path) == {"broken.safetensors", out.name} and out.read_text() == "mine"


def test_version_and_help_come_at_once():
    script = (
        "import sys; from openmm_mdgen.commands.main import app\n"
        "try: app(['--version'])\n"
        "except SystemExit: pass\n"
        "try: app(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', [name for name in ('torch', 'openmm', 'mdtraj') if name in sys.modules])"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=120)
    assert f"openmm-mdgen {__version__}" in done.stdout, done.stderr
    assert "--report-interval" in done.stdout and "heavy: []" in done.stdout


def test_no_subcommand_shows_the_help(command):
    code, out, errors = command(subcommand="--help")
    assert code == 0 and "run" in out


@pytest.mark.parametrize(
    ("text", "picoseconds"),
    [
        *[("10ns", 10_000), ("500ps", 500), ("1us", 10**6), ("0.1 ns", 100), ("2.5fs", 0.0025), (".5ns", 500)],
        *[("1µs", 10**6), ("1μs", 10**6), ("0.01ns", 10)],
    ],
)
def test_times_are_read_exactly(text, picoseconds):
    assert parse_time("--time", text) == picoseconds


@pytest.mark.parametrize("text", ["", "ns", "10", "1e3ps", "10 parsec", "nan ps", "1.2.3ns"])
def test_times_without_number_or_unit_are_refused(text):
    with pytest.raises(MDGenError, match="give a time"):
        parse_time("--time", text)


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_of_two_chains_is_generated_and_overlaps_are_told(command, tmp_path, replicas):
    topology, positions = molecules("AGSA", "VSAL", apart=[0, 0.9, 0])
    with open("two.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    words = ("two.pdb", "--time", "120ps", "--seed", 3, "--out", "a.dcd", "--replicas", replicas)
    code, _, errors = command(*words)
    assert code == 2 and "--each-chain" in errors and names(tmp_path) == {"two.pdb"}
    code, out, errors = command(*words, "--each-chain")
    assert code == 0
    assert errors.splitlines()[0].startswith("warning: chains 'A', 'B' are generated each by itself: contacts")
    overlapping = 0
    for name in sorted(path.name for path in tmp_path.glob("*.dcd")):
        xyz = mdtraj.load(name, top="a.pdb").xyz
        heavy = [atom for atom in topology.atoms() if atom.element.symbol != "H"]
        first, second = ([atom.index for atom in heavy if atom.residue.chain.index == k] for k in (0, 1))
        nearest = np.linalg.norm(xyz[:, first, None] - xyz[:, None, second], axis=-1).min(axis=(1, 2))
        overlapping += (nearest < 0.2).sum()
    assert f"in {overlapping} of {12 * replicas} frames heavy atoms of different chains are nearer than 0.2 nm" in out
    assert 0 < overlapping < 12 * replicas
