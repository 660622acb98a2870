"""Systems of a tetrapeptide in force fields that come with OpenMM."""

import copy
from functools import cache

import openmm
from openmm import app, unit

from openmm_mdgen.md.peptides import build_peptide

AMBER = "amber14-all.xml, implicit/gbn2.xml"  # as weights tell it


@cache
def tetrapeptide():
    topology, positions = build_peptide("HPFS", seed=1)
    return topology, positions


@cache
def field(*files):
    return app.ForceField(*files)


@cache
def boxed(water, model):
    topology, positions = tetrapeptide()
    forces = field("amber14-all.xml", water) if water.startswith("amber14") else field("charmm36.xml", water)
    modeller = app.Modeller(topology, positions)
    modeller.addSolvent(forces, model=model, boxSize=openmm.Vec3(2.2, 2.2, 2.2) * unit.nanometer)
    return modeller.topology, forces


@cache
def _system(files, constraints):
    return field(*files).createSystem(tetrapeptide()[0], constraints=constraints)


def system_of(files, constraints=None):
    """A System of the tetrapeptide without solvent."""
    return copy.deepcopy(_system(files, constraints))
