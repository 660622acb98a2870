"""Which implicit solvent a System has, and which the words for a training force field name.

OpenMM's readers build Born models as a `GBSAOBCForce` or as a `CustomGBForce`, whose formula of the effective radii
tells which model it is: none for HCT (Hawkins 1996), two sets of constants for OBC (Onufriev 2004), one for GBn (Mongan
2007), constants of each atom for GBn2 (Nguyen 2013).
"""

from __future__ import annotations

import re

import openmm

_OWN = "an implicit solvent of its own"
_BY_FORMULA = {  # of the effective radius, without spaces
    "tanh(alpha*psi-beta*psi^2+gamma*psi^3)": "GBn2",
    "tanh(1.09511284*psi-1.907992938*psi^2+2.50798245*psi^3)": "GBn",
    "tanh(psi-0.8*psi^2+4.85*psi^3)": "OBC2",
    "tanh(0.8*psi+2.909125*psi^3)": "OBC1",
    "1/(1/or-I)": "HCT",
}
_BY_WORD = {"gbn2": "GBn2", "gbn": "GBn", "obc1": "OBC1", "obc": "OBC2", "hct": "HCT"}  # the more special first
_SURFACE = "28.3919551"  # kJ/mol/nm^2, as OpenMM writes the ACE surface term


def named_model(words: str) -> str | None:
    """The model that words such as ``"amber14-all.xml, implicit/gbn2.xml"`` name; None where they name none."""
    lower = words.lower()
    return next((model for word, model in _BY_WORD.items() if word in lower), None)


def model_of(system: openmm.System) -> str | None:
    """The name of a System's implicit solvent; None where it has none."""
    for force in system.getForces():
        if isinstance(force, openmm.GBSAOBCForce):
            return "OBC2"
        if isinstance(force, openmm.CustomGBForce):
            return _by_formula(force)
        if isinstance(force, openmm.AmoebaGeneralizedKirkwoodForce):
            return "generalized Kirkwood"
    return None


def has_surface_term(system: openmm.System) -> bool:
    """Whether the implicit solvent has the ACE term of the surface area (Schaefer 1998)."""
    for force in system.getForces():
        if isinstance(force, openmm.GBSAOBCForce):
            return force.getSurfaceAreaEnergy()._value > 0
        if isinstance(force, openmm.CustomGBForce):
            terms = (force.getEnergyTermParameters(k)[0] for k in range(force.getNumEnergyTerms()))
            return any(_SURFACE in term for term in terms)
    return False


def has_salt(system: openmm.System) -> bool:
    """Whether the implicit solvent screens charges as dissolved salt does."""
    for force in system.getForces():
        if isinstance(force, openmm.CustomGBForce):
            terms = (force.getEnergyTermParameters(k)[0] for k in range(force.getNumEnergyTerms()))
            return any((found := re.search(r"kappa=([^;]+)", term)) and float(found[1]) > 0 for term in terms)
    return False


def _by_formula(force: openmm.CustomGBForce) -> str:
    values = (force.getComputedValueParameters(k)[1] for k in range(force.getNumComputedValues()))
    formulas = "".join(values).replace(" ", "")
    return next((model for formula, model in _BY_FORMULA.items() if formula in formulas), _OWN)
