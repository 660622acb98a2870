"""Systems and Contexts beside the simulation's own: copies in which frames are relaxed, held or taken alone.

The simulation's Context is read and never written here. *Moved* atoms are those that the generator places. Positions
are ``(n_atoms, 3)`` in nm, energies in kJ/mol.
"""

from __future__ import annotations

import copy

import numpy as np
import openmm
from openmm import unit

from openmm_mdgen.errors import LandingError

HOLD = "openmm_mdgen_hold"  # global parameter: stiffness of the restraints, kJ/mol/nm²

_COUPLINGS = (
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.MonteCarloFlexibleBarostat,
    openmm.AndersenThermostat,
)
_BETWEEN_ALL = (
    openmm.CustomNonbondedForce,
    openmm.GBSAOBCForce,
    openmm.CustomGBForce,
    openmm.CustomManyParticleForce,
    openmm.AmoebaMultipoleForce,
    openmm.AmoebaVdwForce,
)
# Contexts beside the simulation's repeat themselves bit for bit: the same seed has to give the same run.
_SAME_EVERY_TIME = {"DeterministicForces": "true", "Threads": "1"}


def without_couplings(system: openmm.System) -> openmm.System:
    """A copy without barostats and thermostats."""
    system = copy.deepcopy(system)
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), _COUPLINGS):
            system.removeForce(index)
    return system


def solute_alone(system: openmm.System, moved: np.ndarray) -> openmm.System:
    """A copy in which atoms other than the moved ones neither move nor act.

    Raises
    ------
    LandingError
        If a force joins all atoms in a way that cannot be taken apart.
    """
    system, is_moved = copy.deepcopy(system), np.zeros(system.getNumParticles(), dtype=bool)
    is_moved[moved] = True
    for k in reversed(range(system.getNumConstraints())):
        i, j, _ = system.getConstraintParameters(k)
        if not (is_moved[i] and is_moved[j]):
            system.removeConstraint(k)
    for i in np.flatnonzero(~is_moved):
        system.setParticleMass(int(i), 0.0)
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            _silence(force, is_moved)
        elif isinstance(force, _BETWEEN_ALL):
            raise LandingError(
                f"{type(force).__name__} joins the solute with its solvent, and the solute's own energy cannot be told "
                "from it: use a force field whose nonbonded terms are all in NonbondedForce, or implicit solvent"
            )
    return system


def restraint(atoms: np.ndarray, *, is_periodic: bool) -> openmm.CustomExternalForce:
    """Harmonic restraints of these atoms to places that are set later, with the global parameter `HOLD` as stiffness.

    It is zero at first, so nothing is held.
    """
    square = "periodicdistance(x,y,z,x0,y0,z0)^2" if is_periodic else "(x-x0)^2+(y-y0)^2+(z-z0)^2"
    force = openmm.CustomExternalForce(f"0.5*{HOLD}*({square})")
    force.addGlobalParameter(HOLD, 0.0)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for i in atoms:
        force.addParticle(int(i), (0.0, 0.0, 0.0))
    return force


def platform_beside(platform: openmm.Platform, properties: dict[str, str]) -> tuple[openmm.Platform, dict[str, str]]:
    """Platform and properties of Contexts beside the simulation's.

    Contexts of the Reference platform share one stream of random numbers, so those beside it are of the CPU platform:
    a segment that was tried and rejected must not change the real MD.
    """
    if platform.getName() == "Reference":
        platform, properties = openmm.Platform.getPlatform("CPU"), {}
    return platform, same_every_time(platform, properties)


def constraints_of(system: openmm.System) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (n, 2) and lengths (n,) nm."""
    found = [system.getConstraintParameters(k) for k in range(system.getNumConstraints())]
    pairs = np.array([(i, j) for i, j, _ in found], dtype=int).reshape(-1, 2)
    return pairs, np.array([length.value_in_unit(unit.nanometer) for _, _, length in found])


def _silence(force: openmm.NonbondedForce, is_moved: np.ndarray) -> None:
    """Take charge and dispersion from atoms that are not moved, and from pairs with one of them."""
    for i in np.flatnonzero(~is_moved):
        force.setParticleParameters(int(i), 0.0, 0.1, 0.0)
    for k in range(force.getNumExceptions()):
        i, j, *_ = force.getExceptionParameters(k)
        if not (is_moved[i] and is_moved[j]):
            force.setExceptionParameters(k, i, j, 0.0, 0.1, 0.0)


def same_every_time(platform: openmm.Platform, properties: dict[str, str]) -> dict[str, str]:
    """Properties of a platform with which a Context repeats itself bit for bit."""
    return properties | {k: value for k, value in _SAME_EVERY_TIME.items() if k in platform.getPropertyNames()}
