"""The commands that compare with real MD, from their arguments to the files they leave."""

import json
import re
import shutil
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import app

from called import called
from models import INFO, small_forward_flow
from openmm_mdgen.analysis import Definitions, TrajectoryFile, evaluate
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.model import checkpoints
from openmm_mdgen.report.benchmark import COUNTED, METHODS
from openmm_mdgen.report.table import DISTANCES
from torsion_walks import place, walk

OPTIONS = ("--lagtime", "5ps", "--clusters", 20, "--states", 3, "--definitions", "sound")


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Real MD (2.4 ns) and a generated trajectory of VSA, and one of another molecule."""
    folder = tmp_path_factory.mktemp("trajectories")
    md = place("VSA", walk(2400, 0))
    md[0].save_pdb(str(folder / "md.pdb"))
    md.save_xtc(str(folder / "md.xtc"))
    place("VSA", walk(500, 60), interval=5.0).save_xtc(str(folder / "generated.xtc"))
    other = place("GAG", {(0, "PSI"): np.linspace(-1, 1, 30)})
    other[0].save_pdb(str(folder / "other.pdb"))
    other.save_xtc(str(folder / "other.xtc"))
    return folder


@pytest.fixture
def command(files, tmp_path, monkeypatch, capfd):
    """Runs ``openmm-mdgen`` in a folder with copies of the files; gives exit code, output and errors."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return called(monkeypatch, capfd, *arguments)

    return call


def compare(command, *options, generated="generated.xtc"):
    return command("evaluate", generated, "--top", "md.pdb", "--reference", "md.xtc", *OPTIONS, *options)


def test_evaluate_writes_the_numbers_of_the_library_and_a_report(command, tmp_path):
    code, out, errors = compare(command, "--json", "out.json", "--report", "out.html", "--generated-seconds", 2)
    assert code == 0 and errors == ""
    written = json.loads((tmp_path / "out.json").read_text())
    source = [TrajectoryFile(f"{name}.xtc", "md.pdb") for name in ("generated", "md")]
    sound = {"lagtime": 5.0, "n_clusters": 20, "n_states": 3, "definitions": Definitions.SOUND}
    expected = evaluate(*source, **sound, generated_seconds=2.0)
    inputs = {k: written.pop(k) for k in ("inputs", "openmm_mdgen")}
    assert written == json.loads(expected.to_json()) and "generated.xtc" in inputs["inputs"]["generated"]
    named = {"torsions_backbone", "torsions_sidechain", "torsions_all", "per_torsion", "tica_0", "tica_01", "msm"}
    assert named <= set(written["jsd"])
    assert f"{expected.jsd.torsions_all:.3f}" in out and f"{expected.jsd.msm:.3f}" in out
    for name, remembered in expected.memory.items():
        assert f"cosine after {name}" in out and f"{remembered.reference:.3f}" in out
    slowest = expected.slow_times["PSI 0 VAL 1"].reference
    assert f"{slowest.time:.3g} ps ({slowest.low:.3g} to {slowest.high:.3g} ps)" in out
    page = (tmp_path / "out.html").read_text()
    assert "</html>" in page and "Slowest coordinates" in page and f"{expected.memory['10 ps'].reference:.3f}" in page


def test_a_trajectory_is_no_distance_from_itself(command, tmp_path):
    code, _, _ = compare(command, "--json", "out.json", "--replicate", "md.xtc", generated="md.xtc")
    written = json.loads((tmp_path / "out.json").read_text())
    for distances in (written["jsd"], written["replicate_jsd"]):
        assert code == 0 and {distances[name] for name in ("torsions_all", "tica_0", "tica_01", "msm")} == {0.0}


def test_files_that_exist_are_kept_unless_forced(command, tmp_path):
    (tmp_path / "out.json").write_text("mine")
    code, _, errors = compare(command, "--json", "out.json")
    assert code == 2 and "out.json exists" in errors and (tmp_path / "out.json").read_text() == "mine"
    assert compare(command, "--json", "out.json", "--force")[0] == 0
    assert "jsd" in json.loads((tmp_path / "out.json").read_text())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--json", "md.pdb", "--force"), "md.pdb is an input"),
        (("--json", "a.html", "--report", "a.html"), "name one file"),
        (("--json", "nowhere/a.json"), "nowhere: no such folder"),
        (("--report", "a.pdf"), ".html"),
        (("--lagtime", "5"), "--lagtime '5'"),
        (("--definitions", "mine"), "published or sound"),
        (("--replicate", "gone.xtc"), "gone.xtc: no such file"),
        (("--replicate", "."), ". is a folder: name a file"),
        (("--states", "30"), "30 states of 20 clusters"),
        (("--generated-seconds", "-1"), "above 0"),
        (("--reference-top", "other.pdb"), "md.xtc with other.pdb"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(command, tmp_path, options, told):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, errors = compare(command, *options)
    assert code == 2 and out == "" and told in errors and len(errors.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_different_molecules_are_refused(command):
    code, _, errors = command(
        "evaluate", "other.xtc", "--top", "other.pdb", "--reference", "md.xtc", "--reference-top", "md.pdb"
    )
    assert code == 2 and "different molecules" in errors


def test_both_sides_are_told_with_their_frame_intervals(command):
    code, out, _ = compare(command)
    assert code == 0 and "whole molecules, generated  " in out and "whole molecules, real MD    " in out
    assert (
        "frames, generated           500, 5 ps apart" in out and "frames, real MD             2400, 1 ps apart" in out
    )
    mdtraj.load("md.xtc", top="md.pdb").save_dcd("md.dcd")
    code, out, _ = command("evaluate", "generated.xtc", "--top", "md.pdb", "--reference", "md.dcd", *OPTIONS)
    assert code == 0 and "2400, not defined: the DCD file's header has no time step, but the default" in out
    assert "TICA-0                  not defined: the DCD" in out
    stated = ("--reference-interval", "1ps")
    assert (
        "frames, real MD             2400, 1 ps apart"
        in command("evaluate", "generated.xtc", "--top", "md.pdb", "--reference", "md.dcd", *OPTIONS, *stated)[1]
    )


def test_a_renumbered_file_and_a_wrapped_one_give_the_same_numbers(command):
    expected = compare(command)[1]
    generated, md = (mdtraj.load(f"{name}.xtc", top="md.pdb") for name in ("generated", "md"))
    for residue in generated.topology.residues:
        residue.resSeq += 20
    generated[0].save_pdb("plus20.pdb")
    code, out, _ = command("evaluate", "generated.xtc", "--top", "plus20.pdb", "--reference", "md.xtc",
                           "--reference-top", "md.pdb", *OPTIONS)  # fmt: skip
    assert code == 0 and out == expected
    wrapped = mdtraj.Trajectory(
        np.mod(md.xyz, 1.5), md.topology, md.time, np.full((2400, 3), 1.5), np.full((2400, 3), 90.0)
    )
    wrapped.save_xtc("wrapped.xtc")
    code, out, _ = command("evaluate", "generated.xtc", "--top", "md.pdb", "--reference", "wrapped.xtc", *OPTIONS)
    distance = "torsions, all"
    told, plain = (
        float(next(x for x in text.splitlines() if x.startswith(distance)).split()[-1]) for text in (out, expected)
    )
    assert code == 0 and told == pytest.approx(plain, abs=0.02)  # the file's rounding
    wrapped.unitcell_lengths = wrapped.unitcell_angles = None
    wrapped.save_trr("torn.trr")
    code, out, errors = command("evaluate", "generated.xtc", "--top", "md.pdb", "--reference", "torn.trr", *OPTIONS)
    assert code == 2 and out == "" and "torn.trr: in frame" in errors and "make it whole first" in errors


def test_parts_of_a_molecule_are_compared_and_what_is_left_out_is_named(command, tmp_path):
    generated = mdtraj.load("generated.xtc", top="md.pdb")
    for name, what in (("bb", "backbone"), ("ca", "name CA")):
        part = generated.atom_slice(generated.topology.select(what))
        part.save_xtc(f"{name}.xtc")
        part[0].save_pdb(f"{name}.pdb")
    options = ("--reference", "md.xtc", "--reference-top", "md.pdb", *OPTIONS, "--report", "out.html", "--force")
    code, out, _ = command("evaluate", "bb.xtc", "--top", "bb.pdb", *options, "--json", "bb.json")
    assert code == 0 and "left out, as only the reference has them: 2 CHI1 (CHI1 0 VAL 1, CHI1 0 SER 2)" in out
    assert "torsions, side chains   not defined: not all trajectories have the atoms" in out
    assert json.loads((tmp_path / "bb.json").read_text())["left_out"]["only_reference"] == [
        "CHI1 0 VAL 1",
        "CHI1 0 SER 2",
    ]
    assert "χ1 VAL 1, χ1 SER 2" in (tmp_path / "out.html").read_text()
    code, out, errors = command("evaluate", "ca.xtc", "--top", "ca.pdb", *options)
    assert code == 0, errors
    assert (
        "C-alpha distances       0." in out and "C-alpha angles          0." in out and "only the reference has" in out
    )
    assert "</html>" in (tmp_path / "out.html").read_text()


@pytest.fixture
def trp_cage(command, tmp_path):
    """Trp-cage shaken a little, more (generated) and less (MD)."""
    shutil.copy(Path(__file__).parents[1] / "data" / "proteins" / "trp_cage.pdb", tmp_path)
    still = mdtraj.load("trp_cage.pdb")
    for seed, (name, size) in enumerate((("made", 0.008), ("real", 0.004), ("again", 0.004))):
        noise = np.random.default_rng(seed).normal(0, size, (20, still.n_atoms, 3))
        mdtraj.Trajectory(still.xyz + noise, still.topology, time=np.arange(20)).save_xtc(f"{name}.xtc")


def test_proteins_are_compared_as_ensembles_beside_other_md(command, trp_cage, tmp_path):
    code, out, errors = command(
        "evaluate", "made.xtc", "--top", "trp_cage.pdb", "--reference", "real.xtc", "--replicate", "again.xtc",
        "--structure", "trp_cage.pdb", "--lagtime", "2ps", "--clusters", 5, "--states", 2, "--json", "out.json",
    )  # fmt: skip
    assert code == 0, errors
    found = json.loads((tmp_path / "out.json").read_text())
    rows = {re.split("  +", line)[0]: re.split("  +", line)[1:] for line in out.splitlines()}
    assert rows["ensembles"] == ["generated", "real MD", "second MD run"]
    ours, theirs = found["ensemble"]["of_each"]["pairwise_rmsd"].values()
    second = found["replicate_ensemble"]["of_each"]["pairwise_rmsd"]["generated"]
    assert rows["pairwise RMSD, nm"] == [f"{ours:.3f}", f"{theirs:.3f}", f"{second:.3f}"]
    correlation = found["ensemble"]["compared"]["rmsf_correlation"]
    assert rows["RMSF by residue, Pearson correlation"][0] == f"{correlation:.3f}"
    assert rows["exposed residues, Jaccard index"][0] == "not defined [1]" and "[1] there is none in either" in out
    loose = [found["validity"][side]["loose"] for side in ("generated", "reference")]
    loose.append(found["replicate_geometry"]["loose"])
    assert rows["chain holds together, loose measure"] == [f"{share:.1%}" for share in loose]
    assert "inputs" in found and found["inputs"]["structure"] == "trp_cage.pdb"
    for line in out.splitlines():  # however long the label, the number stands apart from it
        assert re.match(r"^$|^\[\d\]|^left out|^\S+( \S+)*  +\S", line), line


def test_ensembles_are_left_out_where_they_are_not_wanted(command, trp_cage):
    arguments = ("evaluate", "made.xtc", "--top", "trp_cage.pdb", "--reference", "real.xtc", "--lagtime", "2ps",
                 "--clusters", 5, "--states", 2)  # fmt: skip
    code, out, errors = command(*arguments, "--no-ensembles")
    assert code == 0 and "pairwise RMSD" not in out and "whole molecules" in out, errors
    code, out, errors = command(*arguments, "--structure", "md.pdb")
    assert code == 2 and out == "" and "different molecules" in errors and len(errors.splitlines()) == 1


def test_files_that_hold_their_topology_need_no_other(command):
    md = mdtraj.load("md.xtc", top="md.pdb")
    md[:50].save_pdb("models.pdb")
    code, out, errors = command("evaluate", "models.pdb", "--reference", "md.xtc", *OPTIONS)
    assert code == 0 and "frames, generated           50, not defined: .pdb files do not store times" in out, errors
    code, _, errors = command("evaluate", "generated.xtc", "--reference", "md.xtc", *OPTIONS)
    assert code == 2 and "generated.xtc holds no topology: name a file that does by --top" in errors


def test_several_trajectories_give_errors_in_text_json_and_report(command, tmp_path):
    md = mdtraj.load("md.xtc", top="md.pdb")
    for k in range(3):
        md[800 * k : 800 * (k + 1)].save_xtc(f"md_{k}.xtc")
    code, out, errors = command(
        "evaluate", "md_0.xtc", "md_1.xtc", "--top", "md.pdb", "--reference", "md_1.xtc", "--reference", "md_2.xtc",
        *OPTIONS, "--json", "out.json", "--report", "out.html",
    )  # fmt: skip
    assert code == 0, errors
    written = json.loads((tmp_path / "out.json").read_text())
    value, error = written["jsd"]["torsions_all"], written["errors"]["jsd"]["torsions_all"]
    assert f"{value:.3f} ± {error:.3f}" in out and f"{value:.3f} ± {error:.3f}" in (tmp_path / "out.html").read_text()
    assert "frames, generated           1600 of 2 trajectories, 1 ps apart" in out
    assert written["generated"]["n_trajectories"] == 2 and "md_0.xtc, md_1.xtc" in written["inputs"]["generated"]


@pytest.mark.parametrize("suffix", ["xtc", "dcd", "trr"])
def test_a_topology_that_lacks_atoms_of_the_trajectory_is_refused(command, suffix):
    """Read on, a frame would be filled with atoms of its neighbours, and every number would be wrong."""
    md = mdtraj.load("md.xtc", top="md.pdb")[:200]
    md.save(f"all.{suffix}")
    md[0].atom_slice(md.topology.select("element != H")).save_pdb("heavy.pdb")
    code, _, errors = command("evaluate", f"all.{suffix}", "--top", "heavy.pdb", "--reference", "md.xtc")
    assert code == 2 and "all and in order" in errors
    n_atoms, n_heavy = md.n_atoms, len(md.topology.select("element != H"))
    assert f"the trajectory has {n_atoms} atoms, the topology {n_heavy}" in errors


@pytest.mark.parametrize("name", ["empty.dcd", "empty.xtc", "words.pdb"])
def test_a_file_that_is_no_trajectory_is_not_blamed_on_its_topology(command, tmp_path, name):
    (tmp_path / name).write_text("words\n" if name == "words.pdb" else "")
    code, _, errors = command("evaluate", name, "--top", "md.pdb", "--reference", "md.xtc")
    assert code == 2 and f"{name} cannot be read as a trajectory" in errors and "A topology has" not in errors


@pytest.fixture
def folders(command, tmp_path):
    """Real MD of one molecule under two names, and as generated its second half."""
    md = mdtraj.load("md.xtc", top="md.pdb")
    for name in ("one", "two"):
        for folder, trajectory in (("real", md), ("made", md[1200:])):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy("md.pdb", tmp_path / folder / f"{name}.pdb")
            trajectory.save_xtc(str(tmp_path / folder / f"{name}.xtc"))
    return tmp_path


def test_the_table_s_rows_are_shorter_md_of_the_half_that_is_not_the_reference(command, folders):
    code, out, _ = command("table", "real", "--generated", "made", *OPTIONS, "--json", "table.json")
    assert code == 0
    rows = {row["name"]: row["values"] for row in json.loads((folders / "table.json").read_text())["rows"]}
    assert list(rows) == ["generated", "MD, 100 ps", "MD, 1 ns", "MD, 10 ns", "MD, replicate"]
    for name in ("one", "two"):
        assert rows["generated"][name] == pytest.approx(rows["MD, replicate"][name])  # the same frames
        lengths = [rows[f"MD, {length}"][name]["torsions (all)"] for length in ("100 ps", "1 ns")]
        assert lengths[0] > lengths[1] > 0
        assert set(rows["MD, 10 ns"][name].values()) == {None}
    md = mdtraj.load("md.xtc", top="md.pdb")
    sound = {"lagtime": 5.0, "n_clusters": 20, "n_states": 3, "definitions": Definitions.SOUND}
    expected = evaluate(md[1200:2200], md[:1200], **sound).jsd
    assert rows["MD, 1 ns"]["one"] == pytest.approx({c: getattr(expected, name) for c, name in DISTANCES.items()})
    lines = out.splitlines()
    assert f"{expected.torsions_backbone:.3f}" in next(line for line in lines if "MD, 1 ns" in line)
    assert "not defined [1]" in next(line for line in lines if "MD, 10 ns" in line)
    assert lines[-1] == "[1] the second half of real MD is 1.2 ns, not 10 ns"


def test_the_table_needs_one_source_of_generated_trajectories_and_all_its_peptides(command, folders):
    assert "either --generated FOLDER or --generator" in command("table", "real")[2]
    assert "either" in command("table", "real", "--generated", "made", "--weights", "x")[2]
    (folders / "made" / "two.xtc").unlink()
    code, _, errors = command("table", "real", "--generated", "made")
    assert code == 2 and "no trajectory of two" in errors
    (folders / "made" / "one.xtc").unlink()
    assert "made has no NAME.pdb with a trajectory" in command("table", "real", "--generated", "made")[2]


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    checkpoints.save(path, small_forward_flow(), INFO)
    return path


@pytest.fixture
def long_md(command, tmp_path):
    """A folder with MD of GAAG: 40 frames, 2 ps apart."""
    topology, positions = build_peptide("GAAG", seed=1)
    (tmp_path / "long").mkdir()
    with open(tmp_path / "long" / "GAAG.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions, file)
    angles = {(1, "PSI"): np.linspace(-1, 1, 40), (2, "PSI"): np.linspace(1, 3, 40)}
    md = place("GAAG", angles, interval=2.0)
    assert md.topology == mdtraj.load_topology(str(tmp_path / "long" / "GAAG.pdb"))
    md.save_xtc(str(tmp_path / "long" / "GAAG.xtc"))


def test_the_table_generates_what_it_compares(command, long_md, weights, tmp_path):
    code, out, _ = command(
        "table", "long", "--weights", weights, "--time", "300ps", "--device", "cpu", "--json", "table.json"
    )
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert code == 0 and rows[0]["name"] == "generated" and rows[0]["seconds"]["GAAG"] > 0
    assert 0 < rows[0]["values"]["GAAG"]["torsions (all)"] < 0.8326
    assert rows[0]["values"]["GAAG"]["torsions (sc)"] is None
    assert rows[0]["not_defined"]["values.GAAG.torsions (sc)"] == "the molecule has no side-chain torsion"
    assert "[1] the molecule has no side-chain torsion" in out


def test_workers_make_the_table_that_one_process_makes_and_keep_trajectories(command, long_md, weights, tmp_path):
    """Given again, the command finds the trajectories finished."""
    for suffix in (".pdb", ".xtc"):
        (tmp_path / "long" / f"again{suffix}").write_bytes((tmp_path / "long" / f"GAAG{suffix}").read_bytes())
    asked = ["table", "long", "--generator", weights, "--time", "300ps", "--seed", "1", "--device", "cpu"]
    code, alone, _ = command(*asked)
    shared, made, values = [], [], []
    for k in range(2):
        found = command(*asked, "--workers", "2", "--out", "kept", "--json", f"{k}.json")
        assert found[0] == 0, found[2]
        shared.append([line.rpartition("|")[0].rpartition("|")[0] for line in found[1].splitlines()])
        made.append([path.stat().st_mtime_ns for path in sorted((tmp_path / "kept").glob("*/*.dcd"))])
        values.append(json.loads((tmp_path / f"{k}.json").read_text())["rows"])
    assert code == 0
    assert shared[0] == shared[1] == [line.rpartition("|")[0].rpartition("|")[0] for line in alone.splitlines()]
    assert len(made[0]) == 2 and made[0] == made[1] and values[0] == values[1]
    assert set(values[0][0]["values"]) == {"GAAG", "again"}


def test_a_table_checks_all_molecules_before_it_generates(command, long_md, weights, tmp_path):
    build = tmp_path / "long" / "zz.pdb"
    topology, positions = build_peptide("GAAGA", seed=1)
    with open(build, "w") as file:
        app.PDBFile.writeFile(topology, positions, file)
    place("GAAGA", {(1, "PSI"): np.linspace(-1, 1, 40)}, interval=2.0).save_xtc(str(build.with_suffix(".xtc")))
    code, _, errors = command("table", "long", "--weights", weights, "--time", "300ps", "--out", "kept")
    assert code == 2 and "residues" in errors and not list(tmp_path.glob("kept/*/*.dcd"))
    assert "--out goes with --generator" in command("table", "long", "--generated", "long", "--out", "kept")[2]


def test_a_benchmark_s_figures_belong_together(command, weights, tmp_path):
    code, out, errors = command(
        "benchmark", "ASTG", "--seconds", 0.2, "--generator", weights, "--device", "cpu", "--platform", "Reference",
        "--replicas", 2, "--packed", 2, "--json", "bench.json", "--figure", "bench.png", "--report", "bench.html",
    )  # fmt: skip
    assert code == 0 and errors == ""
    written = json.loads((tmp_path / "bench.json").read_text())
    (peptide,) = written["peptides"]
    md, generated = peptide["md"], peptide["generated"]
    for run in (md, generated):
        assert run["seconds"] >= 0.2 and run["ns_per_second"] == pytest.approx(run["nanoseconds"] / run["seconds"])
        assert 0 < run["distance"] < 0.8326
    assert round(generated["nanoseconds"] * 1000) % (2 * 5 * INFO.frame_interval) == 0  # whole segments of replicas
    assert peptide["ratio"] == pytest.approx(generated["ns_per_second"] / md["ns_per_second"])
    assert "this run's own MD" in peptide["reference"] and "this run's own MD" in out
    assert written["openmm_platform"] == "Reference" and written["replicas"] == 2
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    packed = peptide["packed_md"]
    assert packed["seconds"] >= 0.2 and round(packed["nanoseconds"] * 1000) % 2 == 0  # as many of either copy
    assert peptide["packing"].startswith("2 copies in 1 process, made ready in")
    assert peptide["explored"] is None
    assert peptide["not_defined"]["explored"] == "0.2 s are too short for real MD from generated frames"
    page = (tmp_path / "bench.html").read_text()
    for label in METHODS.values():
        assert f"\n  {label}: " in out or f"ASTG: {label} " in out
        assert f"<th>{label}</th>" in page
    assert all(line in out and line in written["counted"] for line in COUNTED)


def test_a_benchmark_compares_with_the_long_md_it_is_given(command, long_md, weights):
    options = ("--generator", weights, "--device", "cpu", "--platform", "Reference", "--reference", "long")
    code, out, _ = command("benchmark", "--seconds", 0.05, "--packed", 0, *options)
    assert code == 0 and "GAAG: real MD" in out and "distances to long/GAAG.xtc (40 frames, 0.08 ns)" in out
    code, _, errors = command("benchmark", "AKLV", *options)
    assert code == 2 and "has no MD of AKLV" in errors


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--seconds", "0"), "wall time above 0"),
        (("--platform", "Abacus"), "Abacus"),
        (("--figure", "a.doc"), ".png"),
        (("AKBV",), "AKBV"),
    ],
)
def test_a_benchmark_that_cannot_be_done_is_refused_at_once(command, weights, options, told):
    code, _, errors = command("benchmark", *options, "--generator", weights)
    assert code == 2 and told in errors and len(errors.splitlines()) == 1


def test_the_table_sets_proteins_beside_other_md_of_half_the_length(command, trp_cage, tmp_path):
    still = mdtraj.load("trp_cage.pdb")
    for folder, name, size, n in (("real", "one", 0.004, 24), ("made", "one", 0.008, 10),
                                  ("real", "two", 0.005, 24), ("made", "two", 0.006, 10)):  # fmt: skip
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy("trp_cage.pdb", tmp_path / folder / f"{name}.pdb")
        noise = np.random.default_rng(n).normal(0, size, (n, still.n_atoms, 3))
        moved = mdtraj.Trajectory(still.xyz + noise, still.topology, time=np.arange(n))
        moved.save_xtc(str(tmp_path / folder / f"{name}.xtc"))
    options = ("--lagtime", "2ps", "--clusters", 5, "--states", 2, "--json", "table.json")
    code, out, errors = command("table", "real", "--generated", "made", *options)
    assert code == 0, errors
    written = json.loads((tmp_path / "table.json").read_text())["ensembles"]
    methods = ["MD, reference", "generated", "MD, half the length", "MD, replicate"]
    assert list(written["proteins"]) == ["one", "two"] and list(written["proteins"]["one"]) == methods
    md = mdtraj.load("real/one.xtc", top="trp_cage.pdb")
    half = evaluate(md[12:18], md[:12], lagtime=2.0, n_clusters=5, n_states=2)
    row = written["proteins"]["one"]["MD, half the length"]
    assert row["RMSF correlation"] == pytest.approx(half.ensemble.rmsf_correlation)
    assert row["pairwise RMSD, nm"] == pytest.approx(half.ensemble.pairwise_rmsd[0])
    assert row["chain, strict"] == half.validity.generated.strict
    reference = written["proteins"]["one"]["MD, reference"]
    assert reference["pairwise RMSD, nm"] == pytest.approx(half.ensemble.pairwise_rmsd[1])
    assert "RMSF correlation" not in reference and row["exposed residues"] is None
    assert "none in either" in written["not_defined"]["proteins.one.MD, half the length.exposed residues"]
    assert written["over_all"]["generated"]["pairwise_rmsd_correlation"] is None
    assert "three values" in written["not_defined"]["over_all.generated.pairwise_rmsd_correlation"]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("|")]
    header = next(line for line in lines if "RMSF correlation" in line)
    shown = dict(zip(header, next(x for x in lines if x[:2] == ["one", "MD, half the length"]), strict=True))
    assert shown["RMSF correlation"] == f"{half.ensemble.rmsf_correlation:.3f}"
    assert any(line[0] == "over 2 proteins" for line in lines) and "] a correlation needs three values" in out
