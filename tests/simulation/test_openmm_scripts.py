"""Scripts in the style of OpenMM's user guide, run as files: the import of Simulation is another, and nothing else.

`tests/data/openmm_scripts` has them as OpenMM runs them. What they write is read by mdtraj and numpy.
"""

import runpy
import shutil
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import unit

from openmm_mdgen.errors import ReportIntervalError

DATA = Path(__file__).parents[1] / "data"
SCRIPTS = DATA / "openmm_scripts"
PEPTIDE, OWN = DATA / "cases" / "aklv.pdb", DATA / "own_fields"
INPUTS = {
    "pdb.py": {"input.pdb": PEPTIDE},
    "amber.py": {"input.prmtop": OWN / "wet.prmtop", "input.inpcrd": OWN / "wet.rst7"},
    "charmm.py": {f"input.{kind}": OWN / f"isha.{kind}" for kind in ("psf", "crd", "rtf", "prm")},
    "gromacs.py": {f"input.{kind}": OWN / f"wet.{kind}" for kind in ("gro", "top")},
    "restart.py": {"input.pdb": PEPTIDE},
}
LAST_IMPORT = "from openmm.unit import *\n"
OURS = "from openmm_mdgen import MDGenSimulation as Simulation\n"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Runs a script of ours in a folder with its inputs."""
    monkeypatch.chdir(tmp_path)

    def run(name, *words, change=("", "")):
        for target, source in INPUTS[name].items():
            shutil.copy(source, target)
        text = (SCRIPTS / name).read_text(encoding="utf-8")
        assert text.count(LAST_IMPORT) == 1 and change[0] in text
        Path(name).write_text(text.replace(LAST_IMPORT, LAST_IMPORT + OURS).replace(*change), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", [name, *words])
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("OPENMM_CPU_THREADS", "1")
            return runpy.run_path(name, run_name="__main__")

    return run


def table(text):
    """What StateDataReporter wrote, as columns by their names."""
    rows = [line.split(",") for line in text.lstrip("#").splitlines()]
    return {column[0].strip('"'): np.array(column[1:]) for column in zip(*rows, strict=True)}


def numbers(column):
    return np.char.rstrip(column, "%").astype(float)


def whole(trajectory):
    """Whether each frame has its bonds, and differs from the one before."""
    bonds = np.array([(a.index, b.index) for a, b in trajectory.topology.bonds])
    lengths = np.linalg.norm(trajectory.xyz[:, bonds[:, 0]] - trajectory.xyz[:, bonds[:, 1]], axis=-1)
    moved = np.abs(np.diff(trajectory.xyz, axis=0)).max(axis=(1, 2))
    return 0.08 < lengths.min() and lengths.max() < 0.2 and (moved > 0.01).all()


def protein(trajectory):
    return trajectory.atom_slice(trajectory.topology.select("protein"))


@pytest.mark.parametrize("name", ["pdb.py", "amber.py", "charmm.py", "gromacs.py"])
def test_a_script_of_openmm_runs_with_another_import(name, script, capsys):
    with pytest.warns(UserWarning) as told:
        made = script(name)
    simulation, system = made["simulation"], made["system"]
    steps_per_frame = round(10 / simulation.integrator.getStepSize().value_in_unit(unit.picosecond))
    assert simulation.currentStep == 4 * steps_per_frame
    log = table(capsys.readouterr().out)
    np.testing.assert_array_equal(numbers(log["Step"]), steps_per_frame * np.arange(1, 5))
    assert all(np.isfinite(numbers(column)).all() for column in log.values())
    simulation.reporters.clear()  # closes what is written
    output = next(Path().glob("output.*"))
    top = None if output.suffix in (".pdb", ".cif") else mdtraj.Topology.from_openmm(simulation.topology)
    trajectory = mdtraj.load(str(output), **({} if top is None else {"top": top}))
    assert trajectory.n_frames == 4 and trajectory.n_atoms == system.getNumParticles()
    assert whole(protein(trajectory))
    if output.suffix == ".xtc":  # mdtraj reads no times of DCD files
        np.testing.assert_allclose(trajectory.time, [10, 20, 30, 40])
    water = trajectory.topology.select("water")
    assert (len(water) > 0) == system.usesPeriodicBoundaryConditions() == (trajectory.unitcell_lengths is not None)
    said = "\n".join(str(warning.message) for warning in told)
    if len(water):
        assert np.ptp(trajectory.xyz[:, water], axis=0).max() < 1e-3
        assert "the System is in explicit water" in said and "they stay where they are" in said
        box = np.diag(simulation.topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer))
        np.testing.assert_allclose(trajectory.unitcell_lengths, np.tile(box, (4, 1)), atol=1e-4)
    assert ("MonteCarloBarostat does nothing" in said) == (name == "pdb.py")
    assert "the integrator is at" not in said  # 300 or 350 K, and the weights know both


def test_a_script_with_every_reporter_is_taken_up_from_checkpoint_and_state(script, tmp_path, monkeypatch):
    script("restart.py")
    kept = {path.name for path in tmp_path.iterdir()}
    assert {"checkpoint.chk", "checkpoint.xml", "end.xml"} < kept
    found = {}
    for restart in ("checkpoint.chk", "checkpoint.xml", "end.xml"):
        folder = tmp_path / f"from_{restart}"
        folder.mkdir()
        for name in kept:
            shutil.copy(tmp_path / name, folder)
        monkeypatch.chdir(folder)
        script("restart.py", restart)["simulation"].reporters.clear()
        dcd, xtc = (mdtraj.load(f"trajectory.{kind}", top="input.pdb") for kind in ("dcd", "xtc"))
        assert dcd.n_frames == xtc.n_frames == 10 and whole(dcd)
        np.testing.assert_allclose(xtc.time, 10 * np.arange(1, 11))
        np.testing.assert_allclose(xtc.xyz, dcd.xyz, atol=6e-4)
        np.testing.assert_allclose(mdtraj.load("part.pdb").xyz, dcd.xyz[4:], atol=6e-5)
        log = table(Path("log.csv").read_text())
        assert len(log) == 12
        np.testing.assert_array_equal(numbers(log["Step"]), 2500 * np.arange(1, 11))
        np.testing.assert_allclose(numbers(log["Progress (%)"]), 10 * np.arange(1, 11))
        found[restart] = dcd.xyz, numbers(log["Total Energy (kJ/mole)"])
    for xyz, energies in list(found.values())[1:]:
        np.testing.assert_array_equal(xyz, found["checkpoint.chk"][0])
        np.testing.assert_array_equal(energies, found["checkpoint.chk"][1])


def test_intervals_of_the_guide_that_are_no_frames_are_refused_with_the_nearest(script):
    with pytest.warns(UserWarning), pytest.raises(ReportIntervalError, match="at step 1000, .*interval of 5000 steps"):
        script("charmm.py", change=("5000", "1000"))
