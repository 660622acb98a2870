"""Heating of starting structures: rotamers change, chirality and peptide bonds do not."""

import json

import numpy as np
import openmm
import pytest
from openmm import unit

from openmm_mdgen.analysis.sources import TrajectoryFile, measure
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import PROTOCOL_FILE
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.heating import restrained
from openmm_mdgen.md.packed_system import Molecule, PackedSystem
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.production import planned, simulate


def energy_and_forces(system, positions):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
    return state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole), forces


@pytest.fixture(scope="module")
def packed():
    topology, positions = build_peptide("ACE-ITPL-NME", seed=3)
    molecule = Molecule(topology, np.array(positions.value_in_unit(unit.nanometer)))
    return PackedSystem([molecule, molecule], batched=False)


def test_what_is_held_is_each_carbon_with_a_hand_and_each_peptide_bond(packed):
    system = restrained(packed.system, packed.topology, packed.positions)
    held = system.getForces()[-1]
    atoms = list(packed.topology.atoms())
    told = set()
    for k in range(held.getNumTorsions()):
        first, _, third, _, _ = held.getTorsionParameters(k)
        one, other = atoms[first], atoms[third].residue.name
        told.add(f"{one.residue.name}-{other}" if one.name == "O" else f"{one.residue.name} {one.name}")
    assert held.getNumTorsions() == 2 * 12
    centres = {"ILE CA", "ILE CB", "THR CA", "THR CB", "PRO CA", "LEU CA", "LEU CG"}
    assert told == centres | {"ACE-ILE", "ILE-THR", "THR-PRO", "PRO-LEU", "LEU-NME"}


def test_a_restrained_system_is_the_old_one_but_for_the_hold(packed):
    held = restrained(packed.system, packed.topology, packed.positions)
    before, forces = energy_and_forces(packed.system, packed.positions)
    after, held_forces = energy_and_forces(held, packed.positions)
    alone = openmm.System()
    for k in range(held.getNumParticles()):
        alone.addParticle(held.getParticleMass(k))
    alone.addForce(openmm.XmlSerializer.clone(held.getForces()[-1]))
    hold, hold_forces = energy_and_forces(alone, packed.positions)
    assert after - before == pytest.approx(hold, abs=1e-3) and 0 <= hold < 5  # peptide bonds as built are nearly planar
    np.testing.assert_allclose(held_forces - forces, hold_forces, atol=1e-2)
    mirrored = packed.positions * np.array([-1, 1, 1])
    assert energy_and_forces(alone, mirrored)[0] > 2 * 7 * 200  # each of seven centres by more than 200 kJ/mol


def test_a_copy_keeps_a_force_that_is_written_in_python(packed):
    topology, positions = build_peptide("AG", seed=3)
    batched = PackedSystem([Molecule(topology, np.array(positions.value_in_unit(unit.nanometer)))], batched=True)
    held = restrained(batched.system, batched.topology, batched.positions)
    plain, _ = energy_and_forces(batched.system, batched.positions)
    assert energy_and_forces(held, batched.positions)[0] - plain < 5


@pytest.mark.slow
def test_heated_runs_keep_their_hand_and_are_told_apart_from_others(tmp_path):
    protocol = MDProtocol(duration=2.0, frame_interval=0.2, equilibration=0.2, heating=4.0)
    simulate(planned(["ITV"], replicas=2, seed=1), tmp_path, protocol, platform="CPU", threads=1)
    for name in ("ITV_0", "ITV_1"):
        files = tmp_path / name
        series = measure(TrajectoryFile(files / f"{name}.xtc", files / f"{name}.pdb"))
        assert series.geometry.right_chirality == 1
        assert json.loads((files / PROTOCOL_FILE).read_text())["heating"] == 4.0
    with pytest.raises(MDGenError, match=r"heating 4.0, asked for 0.0"):
        simulate(
            planned(["ITV"], replicas=2, seed=1),
            tmp_path,
            MDProtocol(duration=2.0, frame_interval=0.2, equilibration=0.2),
            platform="CPU",
        )


@pytest.mark.parametrize("field", ["heating", "equilibration"])
def test_times_that_are_negative_are_refused(field):
    with pytest.raises(MDGenError, match=f"{field} is -1"):
        MDProtocol(**{field: -1.0})
