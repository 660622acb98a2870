"""Heating of starting structures, so that what is recorded forgets the conformation that a builder chose.

Builders place side chains in a few favourite rotamers and backbones in a few basins, and a nanosecond of MD does not
forget them. At 600 K barriers between rotamers are crossed within picoseconds. Chirality and peptide bonds could flip
there too, which they must not: `restrained` holds them. Angles in radian, energies in kJ/mol.
"""

from __future__ import annotations

import copy

import numpy as np
import openmm
import torch
from openmm import app

from openmm_mdgen.geometry.atom14 import dihedral
from openmm_mdgen.md.stereochemistry import neighbours, peptide_links, tertiary_carbons

HOT = 600.0  # K
_HOLD = 400.0  # kJ/mol: a mirrored centre or a peptide bond half turned costs 50 kT or more at 600 K


def restrained(system: openmm.System, topology: app.Topology, positions: np.ndarray) -> openmm.System:
    """A copy of a System that keeps the handedness of its carbons and its peptide bonds.

    Parameters
    ----------
    system : openmm.System
    topology : openmm.app.Topology
        With its bonds.
    positions : (n_atoms, 3), nm
        Whose handedness, and whose cis or trans peptide bonds, are kept.

    Returns
    -------
    openmm.System
        With one force more: ``hold * (1 - cos(theta - rest))`` for an improper torsion at each carbon of three heavy
        neighbours and one hydrogen, resting where it is, and for the torsion O-C-N-C of each peptide bond, resting
        where it is planar.
    """
    force = openmm.CustomTorsionForce("hold * (1 - cos(theta - rest))")
    force.addGlobalParameter("hold", _HOLD)
    force.addPerTorsionParameter("rest")
    around = neighbours(topology)
    for carbon, heavy, _ in tertiary_carbons(around):
        _hold(force, positions, [carbon, *heavy])
    for carbon, nitrogen in peptide_links(topology):
        oxygen = next(other for other in around[carbon] if other.element is app.element.oxygen)
        carbons = [other for other in around[nitrogen] if other.element is app.element.carbon]
        after = next((other for other in carbons if other is not carbon), None)
        if after is not None:  # NH2 has none
            _hold(force, positions, [oxygen, carbon, nitrogen, after], planar=True)
    held = copy.deepcopy(system)
    held.addForce(force)
    return held


def _hold(
    force: openmm.CustomTorsionForce, positions: np.ndarray, atoms: list[app.topology.Atom], *, planar: bool = False
) -> None:
    indices = [atom.index for atom in atoms]
    sin, cos = dihedral(torch.from_numpy(positions[indices])).tolist()
    angle = np.arctan2(sin, cos)
    force.addTorsion(*indices, [np.pi * round(angle / np.pi) if planar else angle])
