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
    neighbours = _neighbours(topology)
    for atom, bonded in neighbours.items():
        heavy = [other for other in bonded if other.element is not app.element.hydrogen]
        if atom.element is app.element.carbon and len(heavy) == 3 and len(bonded) == 4:
            _hold(force, positions, [atom, *heavy])
    for carbon, nitrogen in topology.bonds():
        if carbon.element is app.element.nitrogen:
            carbon, nitrogen = nitrogen, carbon
        if carbon.residue is nitrogen.residue or {carbon.name, nitrogen.name} != {"C", "N"}:
            continue
        oxygen = next(other for other in neighbours[carbon] if other.element is app.element.oxygen)
        carbons = [other for other in neighbours[nitrogen] if other.element is app.element.carbon]
        after = next((other for other in carbons if other is not carbon), None)
        if after is not None:  # NH2 has none
            _hold(force, positions, [oxygen, carbon, nitrogen, after], planar=True)
    held = copy.deepcopy(system)
    held.addForce(force)
    return held


def _neighbours(topology: app.Topology) -> dict[app.topology.Atom, list[app.topology.Atom]]:
    neighbours: dict[app.topology.Atom, list[app.topology.Atom]] = {}
    for first, second in topology.bonds():
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    return neighbours


def _hold(
    force: openmm.CustomTorsionForce, positions: np.ndarray, atoms: list[app.topology.Atom], *, planar: bool = False
) -> None:
    indices = [atom.index for atom in atoms]
    sin, cos = dihedral(torch.from_numpy(positions[indices])).tolist()
    angle = np.arctan2(sin, cos)
    force.addTorsion(*indices, [np.pi * round(angle / np.pi) if planar else angle])
