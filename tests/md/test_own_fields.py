"""Topologies of AMBER and CHARMM with positions from a second file; made by ParmEd, read by OpenMM."""

import shutil
import sys
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit

from openmm_mdgen.commands.main import main
from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.md.prepare import prepare

DATA = Path(__file__).parent.parent / "data" / "own_fields"
AMBER = DATA / "ahlv.prmtop", DATA / "ahlv.rst7"
CHARMM = DATA / "isha.psf", DATA / "isha.crd", (DATA / "isha.rtf", DATA / "isha.prm")
WET = DATA / "wet.prmtop", DATA / "wet.rst7"


def energy(system, positions):
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


def bond_lengths(topology, positions):
    return np.array([np.linalg.norm(positions[a.index] - positions[b.index]) for a, b in topology.bonds()])


def test_amber_files_are_minimised_in_their_own_force_field():
    prepared = prepare(AMBER[0], positions=AMBER[1])
    own = app.AmberPrmtopFile(str(AMBER[0]))
    assert [r.name for r in prepared.topology.residues()] == ["ALA", "HIS", "LEU", "VAL"] and prepared.notes == ()
    given = np.array(app.AmberInpcrdFile(str(AMBER[1])).positions.value_in_unit(unit.nanometer))
    np.testing.assert_array_equal(prepared.positions, given)
    found = prepared.minimised()
    system = own.createSystem()  # the file has no radii, so vacuum it is
    assert energy(system, found) < energy(system, given) - 10
    assert np.abs(bond_lengths(own.topology, found) - bond_lengths(own.topology, given)).max() < 0.01
    np.testing.assert_array_equal(prepared.minimised(), found)


def test_charmm_files_are_minimised_in_their_own_force_field():
    prepared = prepare(CHARMM[0], positions=CHARMM[1], parameters=CHARMM[2])
    assert [r.name for r in prepared.topology.residues()] == ["ILE", "SER", "HIS", "ALA"]
    psf = app.CharmmPsfFile(str(CHARMM[0]))
    system = psf.createSystem(app.CharmmParameterSet(*map(str, CHARMM[2])), implicitSolvent=app.OBC2)
    found = prepared.minimised()
    assert energy(system, found) < energy(system, prepared.positions) - 10
    assert prepared.system().getNumParticles() == len(found) == 60


def test_solvent_of_a_box_helps_to_minimise_and_is_removed():
    prepared = prepare(WET[0], positions=WET[1])
    whole = app.AmberPrmtopFile(str(WET[0])).topology
    waters = sum(residue.name == "HOH" for residue in whole.residues())
    assert prepared.notes[0].startswith(f"removed: {waters} waters (HOH), 1 ion (")
    assert [r.name for r in prepared.topology.residues()] == ["LYS", "GLY"]
    n_bonds = sum({a.residue.name, b.residue.name} <= {"LYS", "GLY"} for a, b in whole.bonds())
    found = prepared.minimised()
    assert prepared.topology.getNumBonds() == n_bonds and len(found) == prepared.topology.getNumAtoms()
    assert 0.09 < bond_lengths(prepared.topology, found).min() and bond_lengths(prepared.topology, found).max() < 0.17


@pytest.mark.parametrize("suffix", [".pdb", ".gro", ".rst7", ".inpcrd"])
def test_positions_come_from_many_kinds_of_files(suffix, tmp_path):
    given = np.array(app.AmberInpcrdFile(str(AMBER[1])).positions.value_in_unit(unit.nanometer))
    path = tmp_path / f"x{suffix}"
    if suffix in (".pdb", ".gro"):
        topology = mdtraj.Topology.from_openmm(app.AmberPrmtopFile(str(AMBER[0])).topology)
        mdtraj.Trajectory(given, topology).save(str(path))
    else:
        shutil.copy(AMBER[1], path)
    prepared = prepare(AMBER[0], positions=path)
    np.testing.assert_allclose(prepared.positions, given, atol=6e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": AMBER[0]}, "holds no positions.*--positions"),
        ({"source": AMBER[0], "positions": WET[1]}, "wet.rst7 has 321 atoms, but .*ahlv.prmtop has 65"),
        ({"source": AMBER[0], "positions": DATA / "absent.rst7"}, "absent.rst7: no such file"),
        ({"source": AMBER[0], "positions": DATA / "isha.rtf"}, "isha.rtf cannot be read"),
        ({"source": CHARMM[0], "positions": CHARMM[1]}, "--parameters"),
        ({"source": CHARMM[0], "positions": CHARMM[1], "parameters": (CHARMM[2][0],)}, "isha.psf cannot be read"),
        ({"source": "AKLV", "positions": AMBER[1]}, "go with AMBER's .prmtop and CHARMM's .psf files alone"),
        ({"source": DATA / "absent.psf", "positions": CHARMM[1]}, "absent.psf: no such file"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(MDGenError, match=message):
        prepare(**arguments)


def test_a_gap_is_refused_here_too(tmp_path):
    topology = app.AmberPrmtopFile(str(AMBER[0])).topology
    given = np.array(app.AmberInpcrdFile(str(AMBER[1])).positions.value_in_unit(unit.nanometer))
    given[[atom.index for atom in topology.atoms() if atom.residue.index > 1]] += [1.0, 0, 0]
    with open(tmp_path / "x.pdb", "w") as file:
        app.PDBFile.writeFile(topology, given * unit.nanometer, file)
    with pytest.raises(UnsupportedTopologyError, match="HIS 2 C and LEU 3 N are .* nm apart"):
        prepare(AMBER[0], positions=tmp_path / "x.pdb")


def test_the_command_generates_from_amber_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["run", str(AMBER[0]), "--positions", str(AMBER[1]), "--time", "20ps", "--seed", "1"]
    monkeypatch.setattr(sys, "argv", ["openmm-mdgen", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0, capsys.readouterr().err
    trajectory = mdtraj.load("traj.dcd", top="traj.pdb")
    assert trajectory.n_frames == 2 and trajectory.n_atoms == 65
