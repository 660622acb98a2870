"""Whether a System has the force field and solvent that a generator was trained on."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from dipeptide import FRAME, REFERENCE, langevin
from fields import AMBER, boxed, field, system_of, tetrapeptide
from openmm_mdgen import MDGenSimulation
from openmm_mdgen.model.known import ATLAS, EXPLICIT, IMPLICIT
from openmm_mdgen.simulation.implicit_solvent import has_salt, has_surface_term, model_of, named_model
from openmm_mdgen.simulation.training_conditions import differences
from tumbling import Telling

OWN_FIELDS = Path(__file__).parents[1] / "data" / "own_fields"

# The force field and solvent of the training data


def differences_of(files, trained):
    topology, _ = tetrapeptide()
    system = system_of(files)
    return differences(topology, system, np.arange(topology.getNumAtoms()), trained)


def test_the_training_force_field_is_known_again():
    assert differences_of(("amber14-all.xml", "implicit/gbn2.xml"), AMBER) == []
    (solvent,) = differences_of(("amber99sbildn.xml", "amber99_obc.xml"), AMBER)  # has the same charges
    assert solvent.startswith("the System's implicit solvent is OBC2, and the generator was trained in GBn2")
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


MODELS = ("HCT", "OBC1", "OBC2", "GBn", "GBn2")


def in_implicit(model, **options):
    return field("amber14-all.xml", f"implicit/{model.lower()}.xml").createSystem(tetrapeptide()[0], **options)


@pytest.mark.parametrize("model", MODELS)
def test_implicit_solvents_are_told_apart_as_openmm_builds_them(model):
    system = in_implicit(model)
    assert model_of(system) == model == named_model(f"amber14-all.xml, implicit/{model.lower()}.xml")
    assert has_surface_term(system) and not has_salt(system)
    cutoff = {"nonbondedMethod": app.CutoffNonPeriodic, "nonbondedCutoff": 1 * unit.nanometer}
    bare = in_implicit(model, sasaMethod=None, implicitSolventKappa=1.0, **cutoff)
    assert model_of(bare) == model and not has_surface_term(bare) and has_salt(bare)


@pytest.mark.parametrize("model", ["HCT", "OBC1", "OBC2"])  # radii of the file are none that GBn takes
def test_implicit_solvents_of_amber_s_files_are_told_apart(model):
    file = app.AmberPrmtopFile(str(OWN_FIELDS / "ahlv.prmtop"))
    assert model_of(file.createSystem(implicitSolvent=getattr(app, model))) == model


def test_what_is_no_implicit_solvent_has_no_name():
    assert model_of(system_of(("amber14-all.xml",))) is None
    assert named_model("amber14-all.xml, amber14/tip3pfb.xml") is None
    system, other = openmm.System(), openmm.CustomGBForce()
    other.addComputedValue("B", "1", openmm.CustomGBForce.SingleParticle)
    system.addForce(other)
    assert model_of(system) == "an implicit solvent of its own"


def test_another_implicit_solvent_is_told_by_its_name():
    topology, _ = tetrapeptide()

    def told(model, **options):
        found = differences(topology, in_implicit(model, **options), np.arange(topology.getNumAtoms()), AMBER)
        return found[0] if found else ""

    assert "implicit solvent is OBC1, and the generator was trained in GBn2" in told("OBC1")
    assert "GBn2 has no surface term" in told("GBn2", sasaMethod=None)
    assert "GBn2 has salt" in told("GBn2", implicitSolventKappa=1.0)
    assert told("GBn2") == ""


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
