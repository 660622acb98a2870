"""What is asked of integrators: which one is in use, and at which temperature (K) it keeps the System."""

from __future__ import annotations

from typing import Any

import openmm
from openmm import unit

_R = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin)
_THERMAL_ENERGY = "kT"  # global variable of custom Langevin integrators, OpenMM's MTSLangevinIntegrator among them


def present_integrator(integrator: openmm.Integrator) -> openmm.Integrator:
    """The one in use of a compound integrator; of others, the integrator itself."""
    if isinstance(integrator, openmm.CompoundIntegrator):
        return integrator.getIntegrator(integrator.getCurrentIntegrator())
    return integrator


def temperature_of(integrator: openmm.Integrator) -> float | None:
    """The temperature that the integrator in use keeps.

    Parameters
    ----------
    integrator : openmm.Integrator

    Returns
    -------
    float or None
        K; None where the integrator keeps none. Of Nosé-Hoover chains with several temperatures, that of the chain
        with the most atoms.
    """
    present = present_integrator(integrator)
    if isinstance(present, openmm.NoseHooverIntegrator):
        return _temperature_of_chains(present)
    if isinstance(present, openmm.CustomIntegrator):
        return _temperature_of_variable(present)
    return present.getTemperature().value_in_unit(unit.kelvin) if hasattr(present, "getTemperature") else None


def _temperature_of_chains(integrator: openmm.NoseHooverIntegrator) -> float | None:
    chains = [integrator.getThermostat(k) for k in range(integrator.getNumThermostats())]
    if not chains:
        return None
    # A chain that lists no atoms is of all of them.
    largest = max(chains, key=lambda chain: len(chain.getThermostatedAtoms()) or float("inf"))
    return _in_kelvin(largest.getTemperature())


def _temperature_of_variable(integrator: openmm.CustomIntegrator) -> float | None:
    names = [integrator.getGlobalVariableName(k) for k in range(integrator.getNumGlobalVariables())]
    if _THERMAL_ENERGY not in names:
        return None
    return integrator.getGlobalVariableByName(_THERMAL_ENERGY) / _R


def _in_kelvin(temperature: Any) -> float:
    """K, of a quantity or a number: OpenMM has given both."""
    return temperature.value_in_unit(unit.kelvin) if unit.is_quantity(temperature) else temperature
