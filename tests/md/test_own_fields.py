"""Topologies of AMBER and CHARMM with positions from a second file; made by ParmEd, read by OpenMM.

``asepgv`` has a phosphoserine, ``atpoptra`` a phosphothreonine and a phosphotyrosine. Their parameters in AMBER's files
are made up beyond those of amber14; those in CHARMM's files are of charmm36, without its Urey-Bradley terms.
"""

import json
import shutil
import warnings
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit

from called import called
from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import random_torsions

DATA = Path(__file__).parent.parent / "data" / "own_fields"
AMBER = DATA / "ahlv.prmtop", DATA / "ahlv.rst7"
CHARMM = DATA / "isha.psf", DATA / "isha.crd", (DATA / "isha.rtf", DATA / "isha.prm")
SEP = DATA / "asepgv.prmtop", DATA / "asepgv.rst7"
PHOSPHO = {
    "amber": {"source": DATA / "atpoptra.prmtop", "positions": DATA / "atpoptra.rst7"},
    "charmm": {
        "source": DATA / "atpoptra.psf",
        "positions": DATA / "atpoptra.crd",
        "parameters": (DATA / "atpoptra.rtf", DATA / "atpoptra.prm"),
    },
}
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


@pytest.mark.parametrize("lost", ["RADII", "values"])
def test_a_file_without_radii_is_minimised_in_vacuum_with_a_warning(lost, tmp_path):
    path = AMBER[0]
    if lost == "RADII":
        head, rest = AMBER[0].read_text().split("%FLAG RADII")
        path = tmp_path / "x.prmtop"
        path.write_text(head + rest[rest.index("%FLAG") :])
    prepared = prepare(path, positions=AMBER[1])
    with pytest.warns(UserWarning, match="no radii for implicit solvent .*PBradii.*minimised in vacuum"):
        found = prepared.minimised()
    system = app.AmberPrmtopFile(str(AMBER[0])).createSystem()
    assert energy(system, found) < energy(system, prepared.positions) - 10
    with pytest.raises(MDGenError, match="no radii for implicit solvent"):
        prepared.field.require_dynamics()


def test_a_modified_residue_stays_in_its_own_force_field():
    prepared = prepare(SEP[0], positions=SEP[1])
    assert [r.name for r in prepared.topology.residues()] == ["ALA", "SEP", "GLY", "VAL"] and prepared.notes == ()
    chain = ProteinChain.from_openmm(prepared.topology)
    assert "".join(chain.sequence) == "ASGV"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the file has radii
        found = prepared.minimised()
    system = app.AmberPrmtopFile(str(SEP[0])).createSystem(implicitSolvent=app.OBC2)
    assert energy(system, found) < energy(system, prepared.positions) - 10
    assert np.abs(bond_lengths(prepared.topology, found)).max() < 0.17


@pytest.mark.parametrize("kind", PHOSPHO)
def test_phosphorylated_threonine_and_tyrosine_stay_and_move_with_their_side_chains(kind):
    prepared = prepare(**PHOSPHO[kind])
    assert [r.name for r in prepared.topology.residues()] == ["ALA", "TPO", "PTR", "ALA"] and prepared.notes == ()
    found = prepared.minimised()
    assert prepared.fault(found) == "" and np.abs(bond_lengths(prepared.topology, found)).max() < 0.18
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(prepared.topology), found)
    assert "".join(template.chain.sequence) == "ATYA" and len(template.chain.atom_indices) == len(found)
    torsions = random_torsions(1, 4, 0).double()[0]
    moved = template.place(template.chain_rigids(torsions), torsions).numpy()
    atoms = {(a.residue.name, a.name): a.index for a in prepared.topology.atoms()}
    for name, carrier in (("TPO", "OG1"), ("PTR", "OH")):
        phosphate = [atoms[name, atom] for atom in (carrier, "P", "O1P", "O2P", "O3P")]
        one, other = (np.linalg.norm(x[phosphate][:, None] - x[phosphate], axis=-1) for x in (found, moved))
        np.testing.assert_allclose(other, one, atol=1e-4)
        assert np.linalg.norm(moved[phosphate] - found[phosphate], axis=-1).min() > 0.01


@pytest.mark.parametrize(
    ("written", "name"),
    [("TPO", "THR"), ("PTR", "TYR"), ("TPO", "T1P"), ("PTR", "Y1P")],
    ids=["a patch keeps the name", "of tyrosine too", "a charge less", "of tyrosine likewise"],
)
def test_names_that_charmm_has_for_phosphorylated_residues_are_known(written, name, tmp_path):
    path = tmp_path / "x.psf"
    path.write_text(PHOSPHO["charmm"]["source"].read_text().replace(f" {written} ", f" {name} "))
    prepared = prepare(**{**PHOSPHO["charmm"], "source": path})
    assert ProteinChain.from_openmm(prepared.topology).sequence == "ATYA"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda text: text.replace(" TPO ", " XPO "), "XPO 2 is an amino acid that is not known"),
        (lambda text: text.replace(" TPO ", " DTH "), "DTH 2 is D-THR"),
    ],
)
def test_residues_of_a_psf_that_are_not_known_are_refused(changed, message, tmp_path):
    path = tmp_path / "x.psf"
    path.write_text(changed(PHOSPHO["charmm"]["source"].read_text()))
    with pytest.raises(UnsupportedTopologyError, match=message):
        prepare(**{**PHOSPHO["charmm"], "source": path})


def test_allothreonine_in_a_prmtop_is_refused_though_it_carries_a_phosphate(tmp_path):
    files = PHOSPHO["amber"]
    positions = np.array(app.AmberInpcrdFile(str(files["positions"])).positions.value_in_unit(unit.nanometer))
    topology = app.AmberPrmtopFile(str(files["source"])).topology
    [places] = [{a.name: a.index for a in r.atoms()} for r in topology.residues() if r.name == "TPO"]
    pair = [places["OG1"], places["CG2"]]
    positions[pair] = positions[pair[::-1]]
    path = tmp_path / "x.pdb"
    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    with pytest.raises(UnsupportedTopologyError, match="TPO 2 is allothreonine: its CB"):
        prepare(files["source"], positions=path)


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


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return called(monkeypatch, capsys, *words)

    return call


CHARMM_WORDS = [CHARMM[0], "--positions", CHARMM[1], "--parameters", CHARMM[2][0], "--parameters", CHARMM[2][1]]


@pytest.mark.parametrize(("files", "atoms"), [(SEP, 50), (AMBER, 65)])
def test_the_command_generates_from_amber_files(files, atoms, command):
    code, out, errors = command("run", files[0], "--positions", files[1], "--time", "20ps", "--seed", "1")
    assert code == 0, errors
    assert "its force field minimises the start; generated frames are those of amber14" in out
    assert len(errors.splitlines()) == (files is AMBER)  # which has no radii
    trajectory = mdtraj.load("traj.dcd", top="traj.pdb")
    assert trajectory.n_frames == 2 and trajectory.n_atoms == atoms


def lengths_in(name):
    trajectory = mdtraj.load(f"md/{name}/{name}.xtc", top=f"md/{name}/{name}.pdb")
    return trajectory, np.array([bond_lengths(trajectory.topology.to_openmm(), xyz) for xyz in trajectory.xyz])


def test_the_command_simulates_in_the_files_own_force_fields(command):
    """A short run holds the bonds that amber14 does not know (SEP) or that CHARMM has, and keeps the protein alone."""
    short = ["--time", "5ps", "--equilibration", "1ps", "--out", "md"]
    code, _, errors = command("simulate", SEP[0], *CHARMM_WORDS, "--positions", SEP[1], *short)
    assert code == 2 and "isha.crd cannot be read" in errors  # positions go by the order of the topologies
    code, out, errors = command("simulate", SEP[0], "--positions", SEP[1], *CHARMM_WORDS, *short)
    assert code == 0 and errors == ""
    for name, n_atoms, files in (("asepgv", 50, SEP), ("isha", 60, CHARMM)):
        trajectory, lengths = lengths_in(name)
        assert trajectory.n_frames == 5 and trajectory.n_atoms == n_atoms
        assert 0.09 < lengths.min() and lengths.max() < 0.18
        protocol = json.loads(Path(f"md/{name}/protocol.json").read_text())
        assert protocol["solvent"] == "own" and protocol["force_field"] == [str(files[0])]
    constrained = [
        k for k, b in enumerate(trajectory.topology.bonds) if "H" in (b[0].element.symbol, b[1].element.symbol)
    ]
    assert lengths[:, constrained].std(axis=0).max() < 2e-3  # but for the file's rounding


def test_the_command_simulates_with_the_files_water(command):
    words = ["--positions", WET[1], "--time", "1ps", "--equilibration", "1ps", "--out", "md", "--step-size", "2fs"]
    code, out, errors = command("simulate", WET[0], *words)
    assert code == 0 and errors == "" and "96 waters (HOH)" in out
    trajectory, lengths = lengths_in("wet")
    assert [r.name for r in trajectory.topology.residues] == ["LYS", "GLY"] and lengths.max() < 0.18


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate", AMBER[0], "--positions", AMBER[1]], "has no radii for implicit solvent"),
        (["simulate", SEP[0], "--positions", SEP[1], "--solvent", "explicit"], "brings its solvent"),
        (["simulate", SEP[0]], "asepgv.prmtop holds no positions"),
        (["simulate", "AKLV", "--positions", SEP[1]], "asepgv.rst7 goes with no structure"),
        (["simulate", SEP[0], "--positions", SEP[1], "--parameters", SEP[1]], "--parameters goes with CHARMM's"),
        (["interpolate", SEP[0], SEP[0], "--positions", SEP[1]], "asepgv.prmtop holds no positions"),
    ],
)
def test_what_cannot_be_simulated_is_refused_before_any_work(words, message, command, tmp_path):
    code, out, errors = command(*words, "--time", "10ps", "--out", "md")
    assert code == 2 and message in errors and len(errors.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_water_without_a_box_is_minimised_and_not_simulated(tmp_path):
    whole = app.AmberPrmtopFile(str(WET[0])).topology
    given = np.array(app.AmberInpcrdFile(str(WET[1])).positions.value_in_unit(unit.nanometer))
    mdtraj.Trajectory(given, mdtraj.Topology.from_openmm(whole)).save(str(tmp_path / "x.pdb"))
    prepared = prepare(WET[0], positions=tmp_path / "x.pdb")
    assert bond_lengths(prepared.topology, prepared.minimised()).max() < 0.17
    with pytest.raises(MDGenError, match="has water, and its positions no periodic box"):
        prepared.field.require_dynamics()


def test_paths_between_structures_with_their_own_force_field(command, tmp_path):
    given = np.array(app.AmberInpcrdFile(str(SEP[1])).positions.value_in_unit(unit.nanometer))
    turned = given[:, [1, 2, 0]]
    topology = mdtraj.Topology.from_openmm(app.AmberPrmtopFile(str(SEP[0])).topology)
    mdtraj.Trajectory(turned, topology).save(str(tmp_path / "end.pdb"))
    words = ["interpolate", SEP[0], SEP[0], "--positions", SEP[1], "--positions", "end.pdb", "--seed", "1"]
    code, _, errors = command(*words, "--out", "paths")
    assert code == 0, errors
    path = mdtraj.load("paths/path_000.dcd", top="paths/topology.pdb")
    assert np.abs(path.xyz[0] - given).max() < 1e-4
    assert path.superpose(path, 0).xyz[-1] == pytest.approx(mdtraj.load("paths/topology.pdb").xyz[0], abs=2e-3)
