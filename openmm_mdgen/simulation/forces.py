"""Which forces of a System are a force field's, and which act on top of it: restraints, biases, fields.

A generated frame follows the force field of the training data, whatever else acts in the System. What a force field may
bring passes here: nonbonded terms, implicit solvents, bonded terms as far as `terms` takes them for a force field's,
polarisation, barostats, thermostats. Everything else is a *bias*. Atoms are numbered as in the topology.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm

from openmm_mdgen.simulation.bonding import TopologyBonds
from openmm_mdgen.simulation.terms import TERMS, BondedTerms, n_terms, terms_of

# By names, since which classes there are depends on the version of OpenMM.
_OF_FORCE_FIELDS = {
    "NonbondedForce",
    "GayBerneForce",
    "LCPOForce",
    "GBSAOBCForce",
    "CustomGBForce",
    "CMAPTorsionForce",
    "DrudeForce",
    "AmoebaGeneralizedKirkwoodForce",
    "AmoebaMultipoleForce",
    "AmoebaTorsionTorsionForce",
    "AmoebaVdwForce",
    "AmoebaWcaDispersionForce",
    "HippoNonbondedForce",
    "ConstantPotentialForce",
    "CMMotionRemover",
    "AndersenThermostat",
    "CustomVolumeForce",
    "MonteCarloBarostat",
    "MonteCarloAnisotropicBarostat",
    "MonteCarloFlexibleBarostat",
    "MonteCarloMembraneBarostat",
    "RPMDMonteCarloBarostat",
}


@dataclass(frozen=True)
class Bias:
    """A force that generated frames do not feel."""

    label: str  # class, and name where the user gave one
    atom: int | None  # one of the generated atoms that it acts on; None where it does not say on which it acts
    sampler: str = ""  # such as metadynamics, which adds to the force in the course of a run


def biases(system: openmm.System, graph: TopologyBonds, moved: np.ndarray) -> list[Bias]:
    """The forces that act on moved atoms on top of a force field.

    Parameters
    ----------
    system : openmm.System
    graph : TopologyBonds
        Of the topology that the System is of.
    moved : (n_moved,) int
        The atoms that the generator places.

    Returns
    -------
    list of Bias
        In the order of the System's forces.
    """
    atoms, forces = set(moved.tolist()), list(system.getForces())
    terms = BondedTerms(system, graph, atoms)
    most: dict[str, int] = {}
    for force in forces:
        most[type(force).__name__] = max(n_terms(force), most.get(type(force).__name__, 0))
    found = []
    for force in forces:
        kind = type(force).__name__
        if kind not in TERMS:
            found.append(_bias(force, atoms))
        elif (atom := terms.added_atom(force, is_largest=n_terms(force) == most[kind])) is not None:
            found.append(Bias(_label(force), atom))
    return [bias for bias in found if bias]


def _bias(force: openmm.Force, moved: set[int]) -> Bias | None:
    """The bias that a force without bonded terms is, if it is one."""
    if type(force).__name__ in _OF_FORCE_FIELDS or _is_between_all(force):
        return None
    acted_on = atoms_of(force)
    if acted_on is None:
        return Bias(_label(force), None, _sampler(force))
    atom = min(acted_on & moved, default=None)
    return None if atom is None else Bias(_label(force), atom, _sampler(force))


def atoms_of(force: openmm.Force) -> set[int] | None:
    """The atoms that a force acts on; None where it does not say so, or on all."""
    kind = type(force).__name__
    if kind in TERMS:
        return {atom for term in terms_of(force) for atom in term}
    if kind in _ATOMS:
        return set(_ATOMS[kind](force))
    if hasattr(force, "getParticles"):  # deviation from a structure, radius of gyration and their like
        return set(force.getParticles()) or None
    if isinstance(force, openmm.CustomCVForce):
        inner = [atoms_of(force.getCollectiveVariable(k)) for k in range(force.getNumCollectiveVariables())]
        return None if any(atoms is None for atoms in inner) else set().union(*(atoms or () for atoms in inner))
    return None


def _is_between_all(force: openmm.Force) -> bool:
    """Whether a custom nonbonded force may be a force field's: between all particles, by parameters of each.

    CHARMM's Thole screening acts between groups of ions and others.
    """
    if not isinstance(force, openmm.CustomNonbondedForce):
        return False
    if not force.getNumParticles():
        return True
    own = force.getNumPerParticleParameters() > 0 and not force.getNumInteractionGroups()
    return own or "screen=coef(" in force.getEnergyFunction()


def _sampler(force: openmm.Force) -> str:
    """What adds to a force in the course of a run, or an empty string."""
    kind = type(force).__name__
    if kind == "PlumedForce" and "METAD" in force.getScript():
        return "PLUMED's metadynamics"
    # Metadynamics of OpenMM is a table of collective variables, and nothing else.
    if not isinstance(force, openmm.CustomCVForce) or force.getNumTabulatedFunctions() != 1:
        return ""
    is_table = force.getTabulatedFunctionName(0) == "table" and re.match(r"table\(cv0\b", force.getEnergyFunction())
    return "openmm.app.Metadynamics" if is_table else ""


def _label(force: openmm.Force) -> str:
    kind, name = type(force).__name__, force.getName()
    if kind == "Force":  # of another package, whose classes are not loaded
        return name
    return kind if name in ("", kind) else f"{kind} {name!r}"


def _external_atoms(force: Any) -> Iterator[int]:
    return (force.getParticleParameters(k)[0] for k in range(force.getNumParticles()))


def _centroid_atoms(force: Any) -> Iterator[int]:
    groups = {group for k in range(force.getNumBonds()) for group in force.getBondParameters(k)[0]}
    return (atom for group in groups for atom in force.getGroupParameters(group)[0])


def _grouped_atoms(force: Any) -> Iterator[int]:
    """The atoms of the smaller group of each pair of groups; without groups, all."""
    if not force.getNumInteractionGroups():
        yield from range(force.getNumParticles())
    for k in range(force.getNumInteractionGroups()):
        yield from min(force.getInteractionGroupParameters(k), key=len)


def _hydrogen_bonded_atoms(force: Any) -> Iterator[int]:
    """Donors and acceptors, each of up to three atoms; -1 stands for none."""
    for count, parameters in (("getNumDonors", "getDonorParameters"), ("getNumAcceptors", "getAcceptorParameters")):
        for k in range(getattr(force, count)()):
            yield from (atom for atom in getattr(force, parameters)(k)[:3] if atom >= 0)


def _all_atoms(force: Any) -> Iterator[int]:
    return iter(range(force.getNumParticles()))


_ATOMS: dict[str, Callable[[Any], Iterable[int]]] = {
    "CustomExternalForce": _external_atoms,
    "CustomCentroidBondForce": _centroid_atoms,
    "CustomNonbondedForce": _grouped_atoms,
    "CustomHbondForce": _hydrogen_bonded_atoms,
    "CustomManyParticleForce": _all_atoms,
}
