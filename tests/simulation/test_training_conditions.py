"""Whether a System has the force field and solvent that a generator was trained on."""

import numpy as np
import pytest
from openmm import app, unit

from dipeptide import FRAME, REFERENCE, langevin
from fields import AMBER, boxed, system_of, tetrapeptide
from openmm_mdgen import MDGenSimulation
from openmm_mdgen.model.known import ATLAS, EXPLICIT, IMPLICIT
from openmm_mdgen.simulation.training_conditions import differences
from tumbling import Telling

# The force field and solvent of the training data


def differences_of(files, trained):
    topology, _ = tetrapeptide()
    system = system_of(files)
    return differences(topology, system, np.arange(topology.getNumAtoms()), trained)


def test_the_training_force_field_is_known_again():
    assert differences_of(("amber14-all.xml", "implicit/gbn2.xml"), AMBER) == []
    assert differences_of(("amber99sbildn.xml", "amber99_obc.xml"), AMBER) == []  # has the same charges
    (charge,) = differences_of(("charmm36.xml",), "amber14")
    assert "partial charge" in charge and "amber14" in charge
    assert differences_of(("charmm36.xml",), "charmm36m") == []
    assert "partial charge" in differences_of(("amber14-all.xml",), "charmm36m")[0]
    assert differences_of(("charmm36.xml",), "unknown") == []


def test_the_training_solvent_is_known_again():
    (vacuum,) = differences_of(("amber14-all.xml",), AMBER)
    assert vacuum.startswith("the System is in vacuum, and the generator was trained in implicit solvent")
    topology, forces = boxed("amber14/tip3pfb.xml", "tip3p")
    system = forces.createSystem(topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9 * unit.nanometer)
    moved = np.arange(tetrapeptide()[0].getNumAtoms())
    assert differences(topology, system, moved, "amber14, tip3pfb") == []
    (water,) = differences(topology, system, moved, AMBER)
    assert "in explicit water, and the generator was trained in implicit solvent" in water


def test_published_weights_are_of_the_solvent_and_force_field_of_their_table():
    (solvent,) = differences_of(("amber14-all.xml", "implicit/gbn2.xml"), EXPLICIT.force_field)
    assert solvent.startswith("the System is in implicit solvent, and the generator was trained in explicit water")
    assert differences_of(("amber14-all.xml", "implicit/gbn2.xml"), IMPLICIT.force_field) == []
    water, charges = differences_of(("amber14-all.xml", "implicit/gbn2.xml"), ATLAS.force_field)
    assert "trained in explicit water (charmm36m, tip3p)" in water and "partial charge" in charges
    topology, forces = boxed("amber14/tip3pfb.xml", "tip3p")
    system = forces.createSystem(topology, nonbondedMethod=app.PME, nonbondedCutoff=0.9 * unit.nanometer)
    moved = np.arange(tetrapeptide()[0].getNumAtoms())
    assert differences(topology, system, moved, EXPLICIT.force_field) == []
    (solvent,) = differences(topology, system, moved, IMPLICIT.force_field)
    assert solvent.startswith("the System is in explicit water, and the generator was trained in implicit solvent")


def test_another_force_field_is_told_once():
    class Trained(Telling):
        force_field = AMBER

    topology, positions = tetrapeptide()
    system = system_of(("charmm36.xml",))
    with pytest.warns(UserWarning) as caught:
        made = MDGenSimulation(topology, system, langevin(), REFERENCE, generator=Trained())
        made.context.setPositions(positions)
        made.step(9 * FRAME)
    assert len(caught) == 2  # the solvent and the charges
    assert all(
        "generated frames are as in the training data" in message
        for message in (str(warning.message) for warning in caught)
    )
