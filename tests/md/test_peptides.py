"""Structures from sequences and files, and the System and thermostat they run in."""

import io
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openmm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openmm import app, unit

from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.geometry.residues import ONE_TO_THREE, RESTYPES
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.systems import implicit_system, langevin, solvated
from openmm_mdgen.molecule.chain import ProteinChain

# Stereocentre, its neighbours by falling Cahn-Ingold-Prelog rank, and whether they turn right or left with the hydrogen
# away (2S,3S-isoleucine, 2S,3R-threonine; methyl group 1 is the pro-R one: IUPAC-IUB 1970).
CENTRES = {
    "ILE": ("CB", "CA", "CG1", "CG2", "S"),
    "THR": ("CB", "OG1", "CA", "CG2", "R"),
    "VAL": ("CB", "CA", "CG1", "CG2", "R"),
    "LEU": ("CG", "CB", "CD1", "CD2", "R"),
}


def nanometers(positions: unit.Quantity) -> np.ndarray:
    return np.array(positions.value_in_unit(unit.nanometer))


def handedness(residue: app.topology.Residue, positions: np.ndarray, centre: str, *ranked: str) -> str:
    xyz = {atom.name: positions[atom.index] for atom in residue.atoms()}
    a, b, c = (xyz[name] - xyz[centre] for name in ranked)
    return "S" if np.dot(a, np.cross(b, c)) > 0 else "R"


def write_pdb(path, topology: app.Topology, positions: unit.Quantity) -> None:
    with open(path, "w") as file:
        app.PDBFile.writeFile(topology, positions, file, keepIds=True)


def atoms(topology: app.Topology) -> list[tuple[str, str, str]]:
    return [(a.residue.id, a.residue.name, a.name) for a in topology.atoms()]


@settings(max_examples=15, deadline=None)
@given(st.text(RESTYPES, min_size=2, max_size=8), st.integers(0, 1000))
def test_any_sequence_becomes_a_structure_that_model_and_force_field_take(sequence, seed):
    topology, positions = build_peptide(sequence, seed=seed)
    chain = ProteinChain.from_openmm(topology)
    assert chain.sequence == sequence
    assert len(chain.atom_indices) == topology.getNumAtoms() == len(positions)
    assert np.isfinite(nanometers(positions)).all()
    assert implicit_system(topology).getNumParticles() == topology.getNumAtoms()


def test_built_residues_are_l_amino_acids_with_standard_names():
    topology, positions = build_peptide(RESTYPES, seed=2)
    xyz = nanometers(positions)
    for residue in topology.residues():
        if residue.name != "GLY":
            assert handedness(residue, xyz, "CA", "N", "C", "CB") == "S", residue.name
        if residue.name in CENTRES:
            *names, expected = CENTRES[residue.name]
            assert handedness(residue, xyz, *names) == expected, residue.name


def test_built_bond_lengths_are_the_force_fields():
    topology, positions = build_peptide(RESTYPES, seed=4)
    xyz = nanometers(positions)
    system = implicit_system(topology)
    bonds = next(force for force in system.getForces() if isinstance(force, openmm.HarmonicBondForce))
    for k in range(bonds.getNumBonds()):
        i, j, length, _ = bonds.getBondParameters(k)
        assert np.linalg.norm(xyz[i] - xyz[j]) == pytest.approx(length.value_in_unit(unit.nanometer), abs=0.02)


def test_one_seed_gives_one_structure_and_leaves_pythons_generator_alone():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    _, first = build_peptide("AKLV", seed=7)
    assert random.random() == expected
    _, again = build_peptide("AKLV", seed=7)
    _, other = build_peptide("AKLV", seed=8)
    np.testing.assert_array_equal(nanometers(first), nanometers(again))
    assert np.abs(nanometers(first) - nanometers(other)).max() > 0.05


def test_one_seed_gives_one_structure_whatever_other_threads_draw():
    """As a dask worker does, whose heartbeat draws from Python's generator too."""
    alone = [nanometers(build_peptide("AKLV", seed=7)[1]) for _ in range(2)]
    is_over = threading.Event()

    def draw():
        while not is_over.wait(1e-4):
            random.random()

    drawing = threading.Thread(target=draw)
    drawing.start()
    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(lambda seed: nanometers(build_peptide("AKLV", seed=seed)[1]), [7, 8, 7, 8]))
    is_over.set()
    drawing.join()
    np.testing.assert_array_equal(alone[0], alone[1])
    for found in beside[::2]:
        np.testing.assert_array_equal(found, alone[0])
    np.testing.assert_array_equal(beside[1], beside[3])


def test_a_complete_file_keeps_its_atoms_and_their_order(tmp_path):
    topology, positions = build_peptide("HKE", seed=1)
    shuffled = app.Topology()  # each residue's atoms backwards: an order no builder makes
    chain = shuffled.addChain("Q")
    order = []
    for residue in topology.residues():
        copy = shuffled.addResidue(residue.name, chain, str(40 + residue.index))
        for atom in reversed(list(residue.atoms())):
            shuffled.addAtom(atom.name, atom.element, copy)
            order.append(atom.index)
    xyz = nanometers(positions)[order]
    write_pdb(tmp_path / "shuffled.pdb", shuffled, xyz * unit.nanometer)
    loaded, loaded_positions = load_structure(tmp_path / "shuffled.pdb")
    assert atoms(loaded) == atoms(shuffled)
    np.testing.assert_allclose(nanometers(loaded_positions), xyz, atol=6e-5)


def test_missing_hydrogens_are_added_and_the_rest_stays(tmp_path):
    topology, positions = build_peptide("CWDY", seed=3)
    modeller = app.Modeller(topology, positions)
    modeller.delete([a for a in modeller.topology.atoms() if a.element is app.element.hydrogen])
    write_pdb(tmp_path / "heavy.pdb", modeller.topology, modeller.positions)
    loaded, loaded_positions = load_structure(tmp_path / "heavy.pdb")
    assert sorted(atoms(loaded)) == sorted(atoms(topology))
    heavy = [a.index for a in loaded.atoms() if a.element is not app.element.hydrogen]
    np.testing.assert_allclose(nanometers(loaded_positions)[heavy], nanometers(modeller.positions), atol=6e-5)


def test_missing_heavy_atoms_and_foreign_molecules_are_refused_by_name(tmp_path):
    topology, positions = build_peptide("AKL", seed=3)
    modeller = app.Modeller(topology, positions)
    modeller.delete(
        [a for a in modeller.topology.atoms() if a.residue.name == "LYS" and a.name in ("CE", "HE2", "HE3")]
    )
    write_pdb(tmp_path / "broken.pdb", modeller.topology, modeller.positions)
    with pytest.raises(UnsupportedTopologyError, match="LYS.*CE"):
        load_structure(tmp_path / "broken.pdb")

    modeller = app.Modeller(topology, positions)
    water = app.Topology()
    residue = water.addResidue("HOH", water.addChain())
    water.addAtom("O", app.element.oxygen, residue)
    modeller.add(water, [openmm.Vec3(5, 5, 5)] * unit.nanometer)
    write_pdb(tmp_path / "wet.pdb", modeller.topology, modeller.positions)
    with pytest.raises(UnsupportedTopologyError, match="no parameters for HOH"):
        load_structure(tmp_path / "wet.pdb")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.pdb", "no such file"),
        ("AKXV", "neither a PDB file.*nor a sequence"),
        ("aklv", "neither"),
        ("", "neither"),
        ("traj.dcd", "neither"),
        ("A", "at least two"),
    ],
)
def test_what_is_neither_file_nor_sequence_is_refused(source, message):
    with pytest.raises(MDGenError, match=message):
        load_structure(source)


def test_a_file_that_holds_no_structure_is_refused(tmp_path):
    (tmp_path / "text.pdb").write_text("ATOM  not a pdb file at all\n")
    with pytest.raises(MDGenError, match="text.pdb"):
        load_structure(tmp_path / "text.pdb")
    (tmp_path / "binary.pdb").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(MDGenError):
        load_structure(tmp_path / "binary.pdb")


def test_an_unknown_letter_is_named():
    with pytest.raises(MDGenError, match="'BZ' in 'ABZA'"):
        build_peptide("ABZA")


def test_the_system_has_implicit_solvent_heavy_hydrogens_and_constraints():
    topology, positions = build_peptide("SV", seed=0)
    system = implicit_system(topology)
    hydrogens = [a.index for a in topology.atoms() if a.element is app.element.hydrogen]
    masses = [system.getParticleMass(i).value_in_unit(unit.amu) for i in range(system.getNumParticles())]
    assert all(masses[i] == pytest.approx(3) for i in hydrogens)
    heavy_and_light = sum(a.element.mass.value_in_unit(unit.amu) for a in topology.atoms())
    assert sum(masses) == pytest.approx(heavy_and_light, abs=0.01)
    assert system.getNumConstraints() == len(hydrogens)
    assert not system.usesPeriodicBoundaryConditions()
    assert any("CustomGBForce" in type(force).__name__ for force in system.getForces())


def test_the_thermostat_takes_quantities_and_numbers():
    integrator = langevin(seed=3)
    assert integrator.getTemperature() == 350 * unit.kelvin
    assert integrator.getFriction() == 0.3 / unit.picosecond
    assert integrator.getStepSize() == 0.004 * unit.picosecond
    assert integrator.getRandomNumberSeed() == 3
    integrator = langevin(temperature=300 * unit.kelvin, step_size=2 * unit.femtoseconds, friction=1)
    assert integrator.getTemperature() == 300 * unit.kelvin
    assert integrator.getStepSize() == 0.002 * unit.picosecond


def test_three_letter_names_cover_the_alphabet():
    topology, _ = build_peptide(RESTYPES)
    assert [r.name for r in topology.residues()] == [ONE_TO_THREE[letter] for letter in RESTYPES]
    text = io.StringIO()
    app.PDBFile.writeFile(topology, build_peptide(RESTYPES)[1], text)
    assert "OXT VAL" in text.getvalue()


def test_the_seed_zero_is_a_seed_like_any_other():
    assert langevin(seed=0).getRandomNumberSeed() == langevin(seed=0).getRandomNumberSeed() != 0


def test_a_peptide_in_water_is_neutral_first_and_at_constant_pressure():
    bare, built = build_peptide("KA", seed=1)
    positions = nanometers(built)
    topology, system, placed = solvated(bare, positions, edge=1.8, temperature=310.0)
    names = [atom.name for atom in bare.atoms()]
    assert [atom.name for atom in topology.atoms()][: len(names)] == names
    moved = nanometers(placed)[: len(names)]
    np.testing.assert_allclose(moved - moved.mean(0), positions - positions.mean(0), atol=1e-6)
    assert {residue.name for residue in topology.residues()} == {"LYS", "ALA", "HOH", "CL"}
    forces = {type(force): force for force in system.getForces()}
    charges = [
        forces[openmm.NonbondedForce].getParticleParameters(k)[0]._value for k in range(system.getNumParticles())
    ]
    assert abs(sum(charges)) < 1e-6
    assert forces[openmm.MonteCarloBarostat].getDefaultTemperature()._value == 310.0
    assert system.usesPeriodicBoundaryConditions()


def test_a_box_is_large_enough_for_its_cutoff_when_the_barostat_shrinks_it():
    topology, positions = build_peptide("GG", seed=1)
    _, system, _ = solvated(topology, nanometers(positions))
    force = next(force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    edge = system.getDefaultPeriodicBoxVectors()[0][0].value_in_unit(unit.nanometer)
    assert edge >= 2.4 and force.getCutoffDistance() == 1.0 * unit.nanometer
    with pytest.raises(MDGenError, match="box of 1.5 nm is too small"):
        solvated(topology, nanometers(positions), edge=1.5)


def test_letters_that_spell_a_residue_are_said_to_be_read_one_by_one():
    """ACE-ALA-NME is how many write alanine dipeptide, and here it is Ala-Leu-Ala between caps."""
    with pytest.warns(UserWarning, match="'ACE-ALA-NME' is read letter by letter, as ALA-LEU-ALA: .*ACE-A-NME"):
        topology, _ = build_peptide("ACE-ALA-NME")
    assert [residue.name for residue in topology.residues()] == ["ACE", "ALA", "LEU", "ALA", "NME"]
