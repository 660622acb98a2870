"""Whether a System has the force field and solvent that a generator was trained on.

Force fields are told apart by partial charges: those of the System are compared with those that the training force
field gives the same molecule. Charges in units of the elementary charge.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.md.systems import force_field
from openmm_mdgen.simulation.implicit_solvent import has_salt, has_surface_term, model_of, named_model

_CHARGE_TOLERANCE = 0.02
_EXPLICIT = re.compile(r"tip\d|spc|opc|explicit|water", re.IGNORECASE)
_IMPLICIT = re.compile(r"implicit|gbn|obc|hct", re.IGNORECASE)
_WITH_SURFACE = re.compile(r"implicit/\w+\.xml")  # files of OpenMM, whose default is the ACE term
_SALT = re.compile(r"salt|kappa|mol", re.IGNORECASE)


def differences(topology: app.Topology, system: openmm.System, moved: np.ndarray, trained: str) -> list[str]:
    """In what a System differs from the training data.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
    moved : (n_moved,) int
        The atoms that the generator places.
    trained : str
        Force field and solvent of the training data, such as ``"amber14-all.xml, implicit/gbn2.xml"``. What it does
        not say is not compared.

    Returns
    -------
    list of str
        Sentences without an end, one for each difference. A System without any force has no force field to compare.
    """
    if system.getNumForces() == 0:
        return []
    found = [_of_solvent(topology, system, moved, trained), _of_charges(topology, system, moved, trained)]
    return [difference for difference in found if difference]


def _of_solvent(topology: app.Topology, system: openmm.System, moved: np.ndarray, trained: str) -> str:
    if _IMPLICIT.search(trained):
        expected = "in implicit solvent"
    elif _EXPLICIT.search(trained):
        expected = "in explicit water"
    else:
        return ""
    if _has_water(topology, moved):
        own = "in explicit water"
    else:
        own = "in vacuum" if model_of(system) is None else "in implicit solvent"
    if own == expected:
        return _of_model(system, trained)
    return f"the System is {own}, and the generator was trained {expected} ({trained})"


def _of_model(system: openmm.System, trained: str) -> str:
    """The difference between two implicit solvents."""
    own, expected = model_of(system), named_model(trained)
    if own is None or expected is None:
        return ""
    if own != expected:
        return f"the System's implicit solvent is {own}, and the generator was trained in {expected} ({trained})"
    if _WITH_SURFACE.search(trained) and not has_surface_term(system):
        return f"the System's {own} has no surface term (ACE), and that of the training data has one ({trained})"
    if has_salt(system) and not _SALT.search(trained):
        return f"the System's {own} has salt, and that of the training data has none ({trained})"
    return ""


def _of_charges(topology: app.Topology, system: openmm.System, moved: np.ndarray, trained: str) -> str:
    field = _training_force_field(trained)
    part = _part(topology, moved)
    if field is None:
        return ""
    try:
        expected, own = _charges(field.createSystem(part)), _charges(system)
    except ValueError:  # a residue that the training force field does not know
        return ""
    if expected is None:
        return ""
    if own is None:
        return f"the System has no NonbondedForce with partial charges, and the generator was trained with {trained}"
    own = own[np.sort(moved)]
    k = np.abs(own - expected).argmax()
    if abs(own[k] - expected[k]) <= _CHARGE_TOLERANCE:
        return ""
    atom = list(part.atoms())[k]
    return (
        f"{atom.residue.name} {atom.residue.id} {atom.name} has a partial charge of {own[k]:.3f} in the System and of "
        f"{expected[k]:.3f} in the force field that the generator was trained with ({trained})"
    )


def _training_force_field(trained: str) -> app.ForceField | None:
    if "amber14" in trained.lower():
        return force_field()
    return _charmm() if "charmm36" in trained.lower() else None


@cache
def _charmm() -> app.ForceField:
    return app.ForceField("charmm36.xml")


def _charges(system: openmm.System) -> np.ndarray | None:
    """(n_particles,); None where there is no NonbondedForce."""
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            charges = (force.getParticleParameters(i)[0] for i in range(force.getNumParticles()))
            return np.array([charge.value_in_unit(unit.elementary_charge) for charge in charges])
    return None


def _has_water(topology: app.Topology, moved: np.ndarray) -> bool:
    """Whether there are molecules of one oxygen and two hydrogens that are not moved."""
    atoms = set(moved.tolist())
    for residue in topology.residues():
        elements = sorted(atom.element.symbol for atom in residue.atoms() if atom.element is not None)
        if elements == ["H", "H", "O"] and not any(atom.index in atoms for atom in residue.atoms()):
            return True
    return False


def _part(topology: app.Topology, moved: np.ndarray) -> app.Topology:
    """These atoms in a topology of their own, in the same order."""
    part, made, atoms = app.Topology(), {}, set(moved.tolist())
    for chain in topology.chains():
        chosen = [r for r in chain.residues() if any(atom.index in atoms for atom in r.atoms())]
        new_chain = part.addChain(chain.id) if chosen else None
        for residue in chosen:
            new_residue = part.addResidue(residue.name, new_chain, residue.id, residue.insertionCode)
            for atom in residue.atoms():
                if atom.index in atoms:
                    made[atom.index] = part.addAtom(atom.name, atom.element, new_residue, atom.id)
    for i, j in topology.bonds():
        if i.index in made and j.index in made:
            part.addBond(made[i.index], made[j.index])
    return part
