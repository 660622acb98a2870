"""Reference MD: runs that are stopped and taken up again, their folders, and the command."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import unit

from openmm_mdgen.commands.main import main
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.files import PROTOCOL_FILE
from openmm_mdgen.md import production
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.engines import SolvatedSystem
from openmm_mdgen.md.packed_system import Molecule
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.production import planned, simulate
from openmm_mdgen.md.systems import force_field

SHORT = MDProtocol(duration=0.5, frame_interval=0.1, equilibration=0.1)


def molecule(sequence, seed=0):
    topology, positions = build_peptide(sequence, seed=seed)
    return Molecule(topology, positions.value_in_unit(unit.nanometer))


def test_starts_are_spread_over_the_ramachandran_plane():
    systems = planned(["AAAA"], replicas=40, seed=1)
    assert len({system.seed for system in systems}) == 40
    angles = []
    for system in systems:
        topology, positions = build_peptide("AAAA", seed=system.seed)
        frame = mdtraj.Trajectory(positions.value_in_unit(unit.nanometer)[None], mdtraj.Topology.from_openmm(topology))
        angles.append(np.degrees(mdtraj.compute_psi(frame)[1][0]))
    psi = np.concatenate(angles)
    assert 0.15 < (np.abs(psi + 42) < 40).mean() < 0.6  # helical side
    assert 0.15 < (np.abs(psi - 140) < 40).mean() < 0.8  # extended side


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three short trajectories, in two groups."""
    out = tmp_path_factory.mktemp("made")
    simulate(planned(["GG", "AG", "SG"], replicas=1, seed=1), out, SHORT, group_size=2, platform="Reference")
    return out


def test_each_system_gets_its_folder(made):
    assert sorted(path.name for path in made.iterdir()) == ["AG", "GG", "SG"]
    trajectory = mdtraj.load(str(made / "AG" / "AG.xtc"), top=str(made / "AG" / "AG.pdb"))
    assert trajectory.n_frames == 5 and np.allclose(trajectory.time, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert np.allclose(trajectory.xyz[0], mdtraj.load(str(made / "AG" / "AG.pdb")).xyz[0], atol=1.1e-3)
    protocol = json.loads((made / "AG" / PROTOCOL_FILE).read_text())
    assert protocol["temperature"] == 350 and protocol["frame_interval"] == 0.1 and protocol["source"] == "AG"
    # Bonds to hydrogen are constrained, all others vibrate: it is MD, and of the right topology.
    bonds = [(a.index, b.index) for a, b in trajectory.topology.bonds]
    spread = mdtraj.compute_distances(trajectory, bonds, periodic=False).std(axis=0)
    has_hydrogen = np.array(
        [
            trajectory.topology.atom(i).element.symbol == "H" or trajectory.topology.atom(j).element.symbol == "H"
            for i, j in bonds
        ]
    )
    assert spread[has_hydrogen].max() < 1.2e-3 < spread[~has_hydrogen].max()


def test_finished_systems_are_not_made_again(made):
    before = (made / "GG" / "GG.xtc").stat().st_mtime_ns
    told = []
    simulate(
        planned(["GG", "AG", "SG"], replicas=1, seed=1),
        made,
        SHORT,
        group_size=2,
        platform="Reference",
        progress=told.append,
    )
    assert (made / "GG" / "GG.xtc").stat().st_mtime_ns == before
    assert sum(told) == 15


def test_another_protocol_in_the_same_folder_is_refused_before_work(made):
    other = MDProtocol(duration=0.5, frame_interval=0.1, equilibration=0.1, temperature=300)
    with pytest.raises(MDGenError, match="temperature 350.0, asked for 300"):
        simulate(planned(["AG"], replicas=1, seed=1), made, other, platform="Reference")


@pytest.mark.slow
def test_a_killed_run_loses_and_repeats_no_frame(tmp_path):
    """Against the uninterrupted run: equal up to XTC's rounding, as one thread and the Reference platform allow."""
    run = "import sys; from openmm_mdgen.commands.main import main; sys.argv[0] = 'openmm-mdgen'; main()"
    command = [
        sys.executable,
        "-c",
        run,
        "simulate",
        "GG",
        "AG",
        "--time",
        "6ps",
        "--frame-interval",
        "20fs",
        "--equilibration",
        "1ps",
        "--heating",
        "0ps",
        "--platform",
        "Reference",
        "--seed",
        "5",
    ]
    killed = 0
    for _ in range(2):
        process = subprocess.Popen(
            [*command, "--out", str(tmp_path / "cut")], env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        blocks = set(tmp_path.glob("cut/.group-*/*.chk"))
        while process.poll() is None and len(set(tmp_path.glob("cut/.group-*/*.chk")) - blocks) < 1:
            time.sleep(0.02)
        time.sleep(0.05)  # somewhere in the next block
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed == 2
    subprocess.run([*command, "--out", str(tmp_path / "cut")], check=True)
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True)
    for name in ("GG", "AG"):
        cut, whole = (
            mdtraj.load(str(tmp_path / kind / name / f"{name}.xtc"), top=str(tmp_path / kind / name / f"{name}.pdb"))
            for kind in ("cut", "whole")
        )
        assert np.allclose(cut.time, np.arange(1, 301) * 0.02, atol=1e-3)
        assert np.abs(cut.xyz - whole.xyz).max() < 1.1e-3
    assert not list(tmp_path.glob("cut/.group-*"))


def test_positions_that_are_no_longer_finite_name_the_system(tmp_path, monkeypatch):
    real = production.positions_of

    def broken(context):
        positions = real(context)
        if context.getStepCount() > 60:
            positions[0] = np.nan
        return positions

    monkeypatch.setattr(production, "positions_of", broken)
    monkeypatch.setattr(production, "_FRAMES_A_BLOCK", 2)
    with pytest.raises(StateError, match="GG are no longer finite"):
        simulate(planned(["GG", "AG"], replicas=1, seed=1), tmp_path, SHORT, platform="Reference")
    monkeypatch.setattr(production, "positions_of", real)
    simulate(planned(["GG", "AG"], replicas=1, seed=1), tmp_path, SHORT, platform="Reference")
    assert mdtraj.load(str(tmp_path / "GG/GG.xtc"), top=str(tmp_path / "GG/GG.pdb")).n_frames == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        monkeypatch.setattr(production, "_FRAMES_A_BLOCK", 20)
        long = MDProtocol(duration=40, frame_interval=0.02, equilibration=0.1)
        with pytest.raises(OSError, match="disk|space"):
            simulate(planned(["GG"], replicas=1, seed=1), disk, long, platform="Reference")
        kept = sorted(disk.glob(".group-*/*.chk"))
        assert kept and not list(disk.glob(".group-*/.*partial*"))
        shutil.copytree(disk, tmp_path / "roomy", ignore=shutil.ignore_patterns("lock"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    short = MDProtocol(duration=40, frame_interval=0.02, equilibration=0.1)
    told = []

    def stop_after_resume(n):
        told.append(n)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            planned(["GG"], replicas=1, seed=1),
            tmp_path / "roomy",
            short,
            platform="Reference",
            progress=stop_after_resume,
        )
    assert told == [20 * len(kept)]


def test_two_runs_in_one_folder_are_refused(tmp_path):
    systems = planned(["GG"], replicas=1, seed=1)

    def second(_):
        with pytest.raises(MDGenError, match="another run works"):
            simulate(systems, tmp_path, SHORT, platform="Reference")

    simulate(systems, tmp_path, SHORT, platform="Reference", progress=second)


def test_explicit_solvent_is_a_neutral_box_at_constant_pressure():
    protocol = MDProtocol(solvent="explicit")
    solvated = SolvatedSystem(molecule("DG"), protocol, seed=1)
    nonbonded = next(f for f in solvated.system.getForces() if isinstance(f, openmm.NonbondedForce))
    charge = sum(nonbonded.getParticleParameters(i)[0]._value for i in range(nonbonded.getNumParticles()))
    assert abs(charge) < 1e-6 and nonbonded.getNonbondedMethod() == openmm.NonbondedForce.PME
    assert [any(isinstance(f, openmm.MonteCarloBarostat) for f in s.getForces()) for s in solvated.stages] == [
        False,
        True,
    ]
    assert solvated.topology.getNumAtoms() > 500 and solvated.slices[0].stop == 22


@pytest.mark.parametrize(
    "options, message",
    [
        ({"step_size": 0.004, "hydrogen_mass": 1.008}, "too long for hydrogens"),
        ({"frame_interval": 0.0011}, "not a whole number of steps"),
        ({"duration": 1.5}, "not a whole number of frames"),
        ({"solvent": "vacuum"}, "solvent is .vacuum.: take .implicit. or .explicit."),
    ],
)
def test_impossible_protocols_are_refused(options, message):
    with pytest.raises(MDGenError, match=message):
        MDProtocol(**options)


def test_names_that_occur_twice_are_refused():
    with pytest.raises(MDGenError, match="GG named more than once"):
        planned(["GG", "AG", "GG"], replicas=1, seed=0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "nothing to simulate"),
        (["--sequences", "none.csv"], "cannot be read"),
        (["GG", "--time", "5"], "with its unit"),
        (["GX"], "neither a PDB file"),
        (["lost.pdb"], "no such file"),
        (["GG", "--out", "taken"], "--out taken is a file: name a folder"),
    ],
)
def test_the_command_refuses_what_cannot_be_done(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["openmm-mdgen", "simulate", "--time", "1ps", "--out", "md", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err


def test_the_command_takes_rows_of_a_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "names.csv").write_text("name,seqres\nAG,AG\nGG,GG\nSG,SG\n")
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "openmm-mdgen",
            "simulate",
            "--sequences",
            str(tmp_path / "names.csv"),
            "--rows",
            "1:2",
            "--time",
            "200fs",
            "--frame-interval",
            "100fs",
            "--equilibration",
            "100fs",
            "--heating",
            "0ps",
            "--platform",
            "Reference",
            "--out",
            str(tmp_path / "md"),
        ],
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0, capsys.readouterr().err
    assert [p.name for p in (tmp_path / "md").iterdir()] == ["GG"]
    assert "1 trajectories" in capsys.readouterr().out


def test_the_command_takes_capped_peptides_and_files_to_be_completed(tmp_path, monkeypatch, capsys):
    case = Path(__file__).parent.parent / "data" / "cases" / "fragment.pdb"
    words = ["simulate", "ACE-A-NME", "ag", str(case), "--time", "40fs", "--frame-interval", "20fs", "--platform"]
    words += [
        "Reference",
        "--equilibration",
        "20fs",
        "--heating",
        "20fs",
        "--packed",
        "1",
        "--out",
        str(tmp_path / "md"),
    ]
    monkeypatch.setattr(sys, "argv", ["openmm-mdgen", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr()
    assert stop.value.code == 0, told.err
    assert "fragment.pdb: heavy atoms added: OXT of VAL 4" in told.out
    assert sorted(path.name for path in (tmp_path / "md").iterdir()) == ["ACE-A-NME", "AG", "fragment"]
    manifest = json.loads((tmp_path / "md/fragment/manifest.json").read_text())
    assert manifest["inputs"].keys() == {str(case)} and manifest["settings"]["time"] == "40fs"
    assert manifest["outputs"] == ["fragment.pdb", "fragment.xtc"] and manifest["machine"]["device"] == "Reference"
    trajectory = mdtraj.load(
        str(tmp_path / "md/ACE-A-NME/ACE-A-NME.xtc"), top=str(tmp_path / "md/ACE-A-NME/ACE-A-NME.pdb")
    )
    assert trajectory.n_frames == 2 and trajectory.n_atoms == 22
    made = json.loads((tmp_path / "md/fragment/protocol.json").read_text())
    assert made.get("ph") is None and made["heating"] == 0.02
    assert "phi/psi helical/extended/left-handed" not in told.out  # two frames have no fifths


def test_another_ph_is_another_protocol(tmp_path):
    simulate(planned(["AEG"], replicas=1, seed=1, ph=2.0), tmp_path, SHORT, platform="Reference")
    made = json.loads((tmp_path / "AEG" / PROTOCOL_FILE).read_text())
    assert made["ph"] == 2.0
    assert any(line[17:20] == "GLU" and line[12:16].strip() == "HE2" for line in open(tmp_path / "AEG" / "AEG.pdb"))


def test_force_field_is_the_published_one():
    assert force_field()  # amber14 with GBn2 can be made
    assert MDProtocol().force_field == ("amber14-all.xml", "implicit/gbn2.xml")


def xtc(folder, name):
    return mdtraj.load(str(folder / name / f"{name}.xtc"), top=str(folder / name / f"{name}.pdb"))


@pytest.mark.parametrize("solvent", ["implicit", "explicit"])
def test_finished_systems_are_lengthened(tmp_path, solvent):
    """The frames before stay bit for bit, and the motion goes on: the step over the seam is one as all others."""
    names = ["GG", "AG"] if solvent == "implicit" else ["GG"]
    systems, interval = planned(names, replicas=1, seed=1), 0.004
    lengths = [
        MDProtocol(solvent=solvent, duration=n * interval, frame_interval=interval, equilibration=0.1) for n in (7, 19)
    ]
    simulate(systems, tmp_path, lengths[0], platform="CPU", threads=1)
    short = {name: xtc(tmp_path, name) for name in names}
    pdb = (tmp_path / "GG" / "GG.pdb").read_bytes()
    told = []
    simulate(systems, tmp_path, lengths[1], platform="CPU", threads=1, progress=told.append)
    assert sum(told) == 19 * len(names) and told[0] == 7 * len(names)
    for name in names:
        long = xtc(tmp_path, name)
        assert long.n_frames == 19 and np.allclose(long.time, np.arange(1, 20) * interval)
        assert np.array_equal(long.xyz[:7], short[name].xyz)
        steps = np.linalg.norm(np.diff(long.xyz, axis=0), axis=-1).mean(axis=1)
        assert 0.5 < steps[6] / np.delete(steps, 6).mean() < 2
        turns = (np.diff(long.xyz, axis=0)[:-1] * np.diff(long.xyz, axis=0)[1:]).sum(axis=(1, 2))
        assert (
            turns[5] > 0 and turns[6] > 0
        )  # in 4 fs most atoms keep their velocities: new ones would know nothing of them
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(
            [f"{name}.19.end.npz", f"{name}.pdb", f"{name}.xtc", PROTOCOL_FILE]
        )
        made = json.loads((tmp_path / name / PROTOCOL_FILE).read_text())
        assert made["n_frames"] == 19 and made["lengthened_from"] == 7
    assert (tmp_path / "GG" / "GG.pdb").read_bytes() == pdb and not list(tmp_path.glob(".*"))
    with pytest.raises(MDGenError, match="duration 0.076, asked for 0.028"):
        simulate(systems, tmp_path, lengths[0], platform="CPU", threads=1)


def test_a_lengthening_that_breaks_off_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(production, "_FRAMES_A_BLOCK", 3)
    systems = planned(["GG", "AG"], replicas=1, seed=1)
    short, long = (MDProtocol(duration=n * 0.02, frame_interval=0.02, equilibration=0.1) for n in (4, 14))
    for folder in ("cut", "whole"):
        simulate(systems, tmp_path / folder, short, platform="Reference")

    def stop(n):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    left = [3]
    with pytest.raises(KeyboardInterrupt):
        simulate(systems, tmp_path / "cut", long, platform="Reference", progress=stop)
    assert xtc(tmp_path / "cut", "GG").n_frames == 4  # until all are there
    for folder in ("cut", "whole"):
        simulate(systems, tmp_path / folder, long, platform="Reference")
    for name in ("GG", "AG"):
        assert np.abs(xtc(tmp_path / "cut", name).xyz - xtc(tmp_path / "whole", name).xyz).max() < 1.1e-3
        assert xtc(tmp_path / "cut", name).n_frames == 14


def test_new_systems_beside_those_that_are_lengthened_and_folders_of_older_versions(tmp_path):
    short, long = (MDProtocol(duration=n * 0.02, frame_interval=0.02, equilibration=0.1) for n in (4, 6))
    simulate(planned(["GG"], replicas=1, seed=1), tmp_path, short, platform="Reference")
    simulate(planned(["GG", "SG"], replicas=1, seed=1), tmp_path, long, platform="Reference")
    assert xtc(tmp_path, "GG").n_frames == xtc(tmp_path, "SG").n_frames == 6
    (tmp_path / "SG" / "SG.6.end.npz").unlink()
    longer = MDProtocol(duration=0.2, frame_interval=0.02, equilibration=0.1)
    with pytest.raises(
        MDGenError, match="SG was made with duration 0.12, asked for 0.2 and holds nothing to go on from"
    ):
        simulate(planned(["GG", "SG"], replicas=1, seed=1), tmp_path, longer, platform="Reference")
    (tmp_path / "GG" / "GG.6.end.npz").write_bytes(b"mine")
    with pytest.raises(MDGenError, match="GG.6.end.npz is where real MD kept its end, and cannot be read as that"):
        simulate(planned(["GG"], replicas=1, seed=1), tmp_path, longer, platform="Reference")
