"""What generated frames cannot honour: refused or told once, and never a force field's own terms."""

import copy
import warnings

import numpy as np
import openmm
import pytest
from openmm import app, unit

from dipeptide import FRAME, REFERENCE, STEP_SIZE, langevin, peptide
from hybrids import QUICK, SCHEDULE, Says
from openmm_mdgen import Generate, Integrate, MDGenSimulation
from openmm_mdgen.errors import UnsupportedSystemError
from tumbling import Telling, TumblingGenerator


def atom(name, residue):
    return next(a.index for a in peptide()[0].atoms() if a.name == name and a.residue.index == residue)


def system_with(change):
    system = copy.deepcopy(peptide()[2])
    change(system)
    return system


def simulation(system, *, schedule=None, integrator=None, generator=None, gate=None):
    topology, positions, _ = peptide()
    made = MDGenSimulation(
        topology,
        system,
        integrator or langevin(),
        REFERENCE,
        generator=generator or Telling(),
        schedule=schedule or Generate(),
        gate=gate,
        landing=QUICK,
        seed=7,
    )
    made.context.setPositions(positions)
    return made


def hybrid(system, **options):
    return simulation(system, schedule=SCHEDULE, gate=Says(True), **options)


def told(caught):
    return [str(warning.message) for warning in caught]


# What is refused


def freeze(system):
    for i in range(12):
        system.setParticleMass(i, 0)
    for k in reversed(range(system.getNumConstraints())):
        system.removeConstraint(k)


def between_residues(system):
    system.addConstraint(atom("CA", 0), atom("CA", 1), 0.38)


def heavy_angle(system):
    system.addConstraint(atom("N", 0), atom("C", 0), 0.25)


REFUSED = {
    "atoms of mass zero": (freeze, "ALA 1 N and 11 others .* mass of zero"),
    "constraint between residues": (between_residues, "ALA 1 CA and ALA 2 CA are constrained to 0.380 nm"),
    "constraint of an angle of heavy atoms": (heavy_angle, "ALA 1 N and ALA 1 C are constrained"),
}


@pytest.mark.parametrize("make", [simulation, hybrid])
@pytest.mark.parametrize(("change", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_frames_meaningless_is_refused_when_the_simulation_is_made(change, match, make):
    with pytest.raises(UnsupportedSystemError, match=match):
        make(system_with(change))


@pytest.mark.parametrize("make", [simulation, hybrid])
@pytest.mark.parametrize(("change", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_before_the_first_frame_where_the_generator_does_not_say_what_it_moves(change, match, make):
    made = make(system_with(change), generator=TumblingGenerator())
    with pytest.raises(UnsupportedSystemError, match=match):
        made.step(9 * FRAME)
    assert made.currentStep == 0


@pytest.mark.parametrize("change", [change for change, _ in REFUSED.values()])
def test_plain_md_takes_all_of_it_without_a_word(change):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = simulation(system_with(change), schedule=Integrate())
        made.step(3)


def test_a_mass_set_to_zero_in_the_middle_of_a_run_is_seen():
    made = simulation(copy.deepcopy(peptide()[2]))
    made.step(2 * FRAME)
    freeze(made.system)
    made.context.reinitialize(preserveState=True)
    made.context.setPositions(peptide()[1])
    with pytest.raises(UnsupportedSystemError, match="mass of zero"):
        made.step(FRAME)


def test_masses_of_zero_of_atoms_that_are_not_moved_are_right():
    last = peptide()[0].getNumAtoms() - 1

    def change(system):
        for k in reversed(range(system.getNumConstraints())):
            system.removeConstraint(k)
        system.setParticleMass(last, 0)

    with pytest.warns(UserWarning, match="does not move 1 atoms"):
        simulation(system_with(change), generator=Telling(n_moved=last)).step(FRAME)


# What is told


def positions_restraint(system):
    force = openmm.CustomExternalForce("1000*((x-x0)^2+y^2+z^2)")
    force.setName("position restraint")
    force.addPerParticleParameter("x0")
    for name in ("CA", "C"):
        force.addParticle(atom(name, 1), [0.1])
    system.addForce(force)


def centroids(system):
    force = openmm.CustomCentroidBondForce(2, "distance(g1,g2)^2")
    force.addGroup([atom("N", 0), atom("CA", 0)])
    force.addGroup([atom("C", 1)])
    force.addBond([0, 1], [])
    system.addForce(force)


def deviation(system):
    system.addForce(openmm.RMSDForce(peptide()[1], [atom("CA", 0), atom("CA", 1), atom("C", 0)]))


def collective(system):
    force = openmm.CustomCVForce("10*(angle-1)^2")
    torsion = openmm.CustomTorsionForce("theta")
    torsion.addTorsion(*(atom(n, r) for n, r in (("C", 0), ("N", 1), ("CA", 1), ("C", 1))), [])
    force.addCollectiveVariable("angle", torsion)
    system.addForce(force)


def far_bond(system):
    force = openmm.HarmonicBondForce()
    force.addBond(atom("N", 0), atom("C", 1), 0.5, 100)
    system.addForce(force)


def far_custom_bond(system):
    force = openmm.CustomBondForce("r^2")
    force.addBond(atom("CB", 0), atom("CB", 1), [])
    system.addForce(force)


def far_compound(system):
    force = openmm.CustomCompoundBondForce(2, "distance(p1,p2)")
    force.addBond([atom("CB", 0), atom("CB", 1)], [])
    system.addForce(force)


def dihedral_restraint(system):
    force = openmm.CustomTorsionForce("10*(theta-1)^2")
    force.addTorsion(*(atom(n, r) for n, r in (("C", 0), ("N", 1), ("CA", 1), ("C", 1))), [])
    system.addForce(force)


def nothing(state):
    return 0.0, np.zeros((23, 3))


def python_force(system):
    system.addForce(openmm.PythonForce(nothing))


TOLD = {
    "restraint": (positions_restraint, r"CustomExternalForce 'position restraint' acts on ALA 2 CA"),
    "centroids": (centroids, "CustomCentroidBondForce acts on ALA 1 N"),
    "RMSD": (deviation, "RMSDForce acts on ALA 1 CA"),
    "collective variable": (collective, "CustomCVForce acts on ALA 1 C"),
    "bond": (far_bond, "HarmonicBondForce acts on ALA 1 N"),
    "custom bond": (far_custom_bond, "CustomBondForce acts on ALA 1 CB"),
    "compound bond": (far_compound, "CustomCompoundBondForce acts on ALA 1 CB"),
    "dihedral restraint": (dihedral_restraint, "CustomTorsionForce acts on ALA 2 N"),
    "PythonForce": (python_force, "PythonForce is not felt"),
}


@pytest.mark.parametrize("generator", [TumblingGenerator, Telling])
@pytest.mark.parametrize(("change", "match"), TOLD.values(), ids=TOLD.keys())
def test_a_bias_is_told_once_by_its_name_and_an_atom(change, match, generator):
    with pytest.warns(UserWarning, match=match) as caught:
        made = simulation(system_with(change), generator=generator())
        made.step(5 * FRAME)
        made.context.setPositions(peptide()[1])
        made.step(5 * FRAME)
    assert len(caught) == 1 and "energies of the System contain it" in told(caught)[0]
    assert caught[0].filename == __file__


def test_hybrid_runs_say_what_the_gate_sees():
    with pytest.warns(UserWarning, match="position restraint") as caught:
        hybrid(system_with(positions_restraint)).step(9 * FRAME)
    assert len(caught) == 1 and "The gate judges them by the System's whole energy, with this force" in told(caught)[0]


def test_a_force_that_is_added_in_the_middle_of_a_run_is_told():
    made = simulation(copy.deepcopy(peptide()[2]))
    made.step(2 * FRAME)
    positions_restraint(made.system)
    made.context.reinitialize(preserveState=True)
    with pytest.warns(UserWarning, match="position restraint"):
        made.step(3 * FRAME)


@pytest.mark.parametrize("change", [change for change, _ in TOLD.values()])
def test_plain_md_is_told_nothing(change):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulation(system_with(change), schedule=Integrate()).step(1)


def test_a_bias_on_atoms_that_are_not_moved_is_right():
    with pytest.warns(UserWarning, match="does not move") as caught:
        simulation(system_with(positions_restraint), generator=Telling(n_moved=12)).step(FRAME)
    assert len(caught) == 1


BAROSTATS = [
    openmm.MonteCarloBarostat(1, 300),
    openmm.MonteCarloAnisotropicBarostat(openmm.Vec3(1, 1, 1), 300),
    openmm.MonteCarloFlexibleBarostat(1, 300),
]


@pytest.mark.parametrize("barostat", BAROSTATS, ids=lambda barostat: type(barostat).__name__)
def test_a_barostat_is_told_once_where_all_frames_are_generated(barostat):
    def change(system):
        system.setDefaultPeriodicBoxVectors(*(4 * np.eye(3)))
        next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce)).setNonbondedMethod(4)
        system.addForce(copy.deepcopy(barostat))

    with pytest.warns(UserWarning, match=f"^{type(barostat).__name__} does nothing .*the box of the start") as caught:
        made = simulation(system_with(change))
        made.step(5 * FRAME)
        made.step(5 * FRAME)
    assert len(caught) == 1
    box = made.context.getState().getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
    np.testing.assert_array_equal(box, 4 * np.eye(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulation(system_with(change), schedule=Integrate())
        hybrid(system_with(change))


# Samplers that drive the Context


def metadynamics(system):
    torsion = openmm.CustomTorsionForce("theta")
    torsion.addTorsion(*(atom(n, r) for n, r in (("C", 0), ("N", 1), ("CA", 1), ("C", 1))), [])
    variable = app.BiasVariable(torsion, -np.pi, np.pi, 0.35, True)
    return app.Metadynamics(system, [variable], 300, 5, 1.0, FRAME)


def test_metadynamics_is_refused_with_generate_and_told_in_a_hybrid_run():
    with pytest.raises(UnsupportedSystemError, match="CustomCVForce of openmm.app.Metadynamics acts on ALA 1 C"):
        simulation(system_with(metadynamics))
    system = copy.deepcopy(peptide()[2])
    sampler = metadynamics(system)
    with pytest.warns(UserWarning, match="CustomCVForce of openmm.app.Metadynamics") as caught:
        made = hybrid(system)
        sampler.step(made, 9 * FRAME)
    assert len(caught) == 1 and made.currentStep == 9 * FRAME
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = simulation(system, schedule=Integrate())
        sampler.step(made, FRAME)


def tempering(made):
    return app.SimulatedTempering(made, temperatures=[300, 320], tempChangeInterval=FRAME, reportFile="/dev/null")


def test_tempering_is_refused_with_generate_and_told_in_a_hybrid_run():
    made = simulation(peptide()[2])
    sampler = tempering(made)
    with pytest.raises(UnsupportedSystemError, match="tempering.* generated frames are of 300 K"):
        sampler.step(3 * FRAME)
    made = hybrid(peptide()[2])
    with pytest.warns(UserWarning) as caught:
        tempering(made).step(9 * FRAME)
    assert sum("tempering" in message for message in told(caught)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tempering(simulation(peptide()[2], schedule=Integrate())).step(3 * FRAME)


# Temperatures


def test_a_temperature_that_changes_on_the_way_is_told_once():
    made = simulation(peptide()[2])
    made.step(FRAME)
    made.integrator.setTemperature(400)
    with pytest.warns(UserWarning, match="is now at 400 K and the generator was trained at 300 K") as caught:
        made.step(2 * FRAME)
        made.integrator.setTemperature(410)
        made.step(2 * FRAME)
    assert len(caught) == 1


def test_the_temperature_of_an_andersen_thermostat_counts():
    def change(system):
        system.addForce(openmm.AndersenThermostat(330, 1))

    with pytest.warns(UserWarning, match="at 330 K and the generator was trained at 300 K"):
        simulation(system_with(change), integrator=openmm.VerletIntegrator(STEP_SIZE))
