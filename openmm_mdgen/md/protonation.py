"""Hydrogens of peptides, for a pH, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.md.systems import require_parameters


def with_hydrogens(topology: app.Topology, positions: unit.Quantity, seed: int) -> tuple[app.Topology, unit.Quantity]:
    """Add the hydrogens that are missing at pH 7.

    Parameters
    ----------
    topology : openmm.app.Topology
        With all heavy atoms.
    positions : Quantity, (n_atoms, 3)
    seed : int
        Seed of the places from which hydrogens are minimised.

    Returns
    -------
    topology : openmm.app.Topology
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    UnsupportedTopologyError
        If amber14 has no parameters for what comes out.
    """
    modeller = app.Modeller(topology, positions)
    with _python_random(seed):  # Modeller starts the minimisation of hydrogens from the global generator
        modeller.addHydrogens(pH=7, platform=openmm.Platform.getPlatformByName("Reference"))
    require_parameters(modeller.topology)
    return modeller.topology, np.array(modeller.positions.value_in_unit(unit.nanometer)) * unit.nanometer


@contextmanager
def _python_random(seed: int) -> Iterator[None]:
    """Seed Python's global generator for a while."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
