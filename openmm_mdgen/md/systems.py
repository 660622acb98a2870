"""OpenMM Systems of peptides, the thermostat they run with, and minimisation.

Force field and thermostat are those of the published tetrapeptide data: amber14 with GBn2 or in TIP3P-FB water, bonds
to hydrogen constrained, 350 K, friction 0.3 per ps; hydrogens weigh 3 Da, which allows steps of 4 fs. Positions are
``(n_atoms, 3)`` in nanometre, times in picosecond, temperatures in kelvin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.arguments import not_negative, positive
from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.md.stereochemistry import Stereochemistry
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, minimisable, usable
from openmm_mdgen.seeds import valid_seed

FORCE_FIELDS = {
    "implicit": ("amber14-all.xml", "implicit/gbn2.xml"),
    "explicit": ("amber14-all.xml", "amber14/tip3pfb.xml"),
}
_CUTOFF, _SHORT_CUTOFF = 1.0, 0.8  # nm; the second for boxes in which the first has no room
_SHRINKAGE = 0.4  # nm that a barostat may take from the edge of a box that was filled at too low a density
_SEED_FOR_ZERO = 2**31 - 1  # OpenMM takes 0 as a wish for a random seed


@cache
def force_field() -> app.ForceField:
    """amber14 with the GBn2 implicit solvent."""
    return app.ForceField(*FORCE_FIELDS["implicit"])


def implicit_system(topology: app.Topology) -> openmm.System:
    """Make a System of amber14 with GBn2, without a cutoff; good for steps of 4 fs.

    Bonds to hydrogen are constrained, and hydrogens weigh 3 Da.

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
        Complete, with hydrogens and chain ends.

    Returns
    -------
    openmm.System

    Raises
    ------
    UnsupportedTopologyError
        If the force field has no parameters for a residue; the message names it.
    """
    topology = as_topology(topology)
    require_parameters(topology)
    return force_field().createSystem(
        topology, nonbondedMethod=app.NoCutoff, constraints=app.HBonds, hydrogenMass=3 * unit.amu
    )


def protein_system(topology: app.Topology) -> openmm.System:
    """Make a System of amber14 with GBn2 in which a protein is minimised quickly.

    Nothing is constrained, and interactions end at 1 nm. OpenMM evaluates GBn2 pair by pair: without a cutoff the
    forces of 162 residues take eight times as long, and the structure ends 0.005 nm away at most (RMS deviation of
    heavy atoms).

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
        Complete, with hydrogens and chain ends.

    Raises
    ------
    UnsupportedTopologyError
        If the force field has no parameters for a residue; the message names it.
    """
    topology = as_topology(topology)
    require_parameters(topology)
    return force_field().createSystem(
        topology, nonbondedMethod=app.CutoffNonPeriodic, nonbondedCutoff=_CUTOFF * unit.nanometer
    )


def require_parameters(topology: app.Topology) -> None:
    """Raise `UnsupportedTopologyError` if amber14 with GBn2 does not know a residue of the topology as it stands."""
    unmatched = force_field().getUnmatchedResidues(topology)
    if unmatched:
        names = ", ".join(f"{r.name} {r.id} (chain {r.chain.id})" for r in unmatched[:3])
        raise UnsupportedTopologyError(
            f"amber14 with GBn2 has no parameters for {names}{' and others' if len(unmatched) > 3 else ''}: remove "
            "solvent, ions and ligands, and complete the chain's ends (OXT) and hydrogens, e.g. with PDBFixer"
        )


def solvated(
    topology: app.Topology,
    positions: np.ndarray,
    *,
    edge: float | unit.Quantity | None = None,
    cutoff: float | unit.Quantity | None = None,
    temperature: float | unit.Quantity = 350.0,
    hydrogen_mass: float = 3.0,
    seed: int | None = None,
) -> tuple[app.Topology, openmm.System, unit.Quantity]:
    """Put a peptide into a cube of TIP3P-FB water, neutralised by ions, with PME and a barostat of 1 bar.

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
        Complete, with hydrogens. Its atoms come first in the new topology.
    positions : (n_atoms, 3) array in nm, or Quantity
    edge : float or Quantity, optional
        Length of the cube's edge, in nm where it is a number. By default 1 nm of water lies between any two images of
        the peptide, and the cube is large enough to stay above twice the cutoff when the barostat shrinks it.
    cutoff : float or Quantity, optional
        Cutoff of direct-space forces, in nm where it is a number. By default 1.0, as in the published data, or 0.8 in a
        cube that is given too small for that.
    temperature : float or Quantity
        Temperature of the barostat, in kelvin where it is a number.
    hydrogen_mass : float
        Mass of hydrogens in dalton.
    seed : int, optional
        Seed of the barostat; OpenMM draws one by default.

    Returns
    -------
    topology : openmm.app.Topology
    system : openmm.System
        The barostat is its last force.
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    MDGenError
        If the edge is shorter than twice the cutoff, or a number makes no sense.
    StateError
        If these are no positions of the topology's atoms.
    """
    topology = as_topology(topology)
    positions = usable("positions", BondedAtoms(topology), positions, box_of(topology))
    edge = None if edge is None else positive("edge", edge, "nanometer")
    cutoff = None if cutoff is None else positive("cutoff", cutoff, "nanometer")
    temperature = positive("temperature", temperature, "kelvin")
    hydrogen_mass = positive("hydrogen_mass", hydrogen_mass)
    cutoff = cutoff or (_CUTOFF if edge is None or edge >= 2 * _CUTOFF + _SHRINKAGE else _SHORT_CUTOFF)
    if edge is not None and edge < 2 * cutoff:
        raise MDGenError(f"a box of {edge:g} nm is too small for a cutoff of {cutoff:g} nm: give at least twice that")
    field = app.ForceField(*FORCE_FIELDS["explicit"])
    modeller = app.Modeller(topology, positions * unit.nanometer)
    width = _width(positions, cutoff) if edge is None else edge
    modeller.addSolvent(field, model="tip3p", boxSize=openmm.Vec3(width, width, width) * unit.nanometer)
    system = field.createSystem(
        modeller.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=cutoff * unit.nanometer,
        constraints=app.HBonds,
        hydrogenMass=hydrogen_mass * unit.amu,
    )
    barostat = openmm.MonteCarloBarostat(1 * unit.bar, temperature * unit.kelvin)
    if seed is not None:
        barostat.setRandomNumberSeed(valid_seed(seed) % 2**31)
    system.addForce(barostat)
    return modeller.topology, system, modeller.positions


def _width(positions: np.ndarray, cutoff: float) -> float:
    """Edge of a cube that leaves 1 nm between images of the sphere around a peptide, and room for the cutoff."""
    centre = (positions.min(axis=0) + positions.max(axis=0)) / 2
    radius = float(np.linalg.norm(positions - centre, axis=1).max())
    return max(2 * radius + 1.0, 2 * cutoff + _SHRINKAGE)


def langevin(
    *,
    temperature: float | unit.Quantity = 350.0,
    friction: float | unit.Quantity = 0.3,
    step_size: float | unit.Quantity = 0.004,
    seed: int | None = None,
) -> openmm.LangevinMiddleIntegrator:
    """Make the thermostat of the published data.

    Parameters
    ----------
    temperature : float or Quantity
        In kelvin where it is a number.
    friction : float or Quantity
        In 1/ps where it is a number.
    step_size : float or Quantity
        In ps where it is a number.
    seed : int, optional
        Seed of the random force; OpenMM draws one by default.

    Returns
    -------
    openmm.LangevinMiddleIntegrator

    Raises
    ------
    MDGenError
        If a value is below zero or not finite, or a quantity of another kind.
    """
    integrator = openmm.LangevinMiddleIntegrator(
        positive("temperature", temperature, "kelvin"),
        not_negative("friction", friction, "1/picosecond"),
        positive("step_size", step_size, "picosecond"),
    )
    if seed is not None:
        integrator.setRandomNumberSeed(valid_seed(seed) % 2**31 or _SEED_FOR_ZERO)
    return integrator


def relaxed(topology: app.Topology, positions: unit.Quantity | np.ndarray) -> np.ndarray:
    """Minimise a structure in amber14 with GBn2, on one thread so that the result is the same each time.

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
    positions : (n_atoms, 3) array in nm, or Quantity

    Returns
    -------
    (n_atoms, 3) float64, nm

    Raises
    ------
    UnsupportedTopologyError
        If the force field has no parameters for a residue.
    StateError
        If atoms overlap so that an L amino acid becomes its mirror image; names the residue.
    MDGenError
        If these are no positions of the topology's atoms.
    """
    return relaxed_frames(topology, [positions])[0]


def relaxed_frames(
    topology: app.Topology, frames: Iterable[unit.Quantity | np.ndarray], *, max_iterations: int = 0
) -> np.ndarray:
    """Minimise several structures of one molecule as `relaxed` does.

    Parameters
    ----------
    topology : openmm.app.Topology or mdtraj.Topology
    frames : iterable of (n_atoms, 3) arrays in nm, or Quantities
    max_iterations : int
        Largest number of the minimiser's iterations for each structure; 0 stands for as many as it takes.

    Returns
    -------
    (n, n_atoms, 3) float64, nm

    Raises
    ------
    StateError
        If atoms overlap so that an L amino acid becomes its mirror image; names the residue.
    MDGenError
        If there is no frame, or one has not the positions of the topology's atoms.
    """
    topology = as_topology(topology)
    atoms = BondedAtoms(topology)
    structures = [minimisable("positions", atoms, frame) for frame in frames]
    if not structures:
        raise MDGenError("there is no frame to minimise: give at least one")
    found = minimised_frames(topology, structures, max_iterations=max_iterations)
    known = Stereochemistry.of(topology)
    for before, after in zip(structures, found, strict=True):
        known.require_kept(before, after)
    return found


def minimised_frames(topology: app.Topology, frames: Sequence[np.ndarray], *, max_iterations: int = 0) -> np.ndarray:
    """Minimise positions (n_atoms, 3) in nm as `relaxed_frames` does, whatever comes of them."""
    context = openmm.Context(
        implicit_system(topology),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1"},
    )
    found = []
    for positions in frames:
        context.setPositions(positions)
        openmm.LocalEnergyMinimizer.minimize(context, maxIterations=max_iterations)
        found.append(positions_of(context))
    return np.stack(found)


def positions_of(context: openmm.Context) -> np.ndarray:
    """Positions (n_atoms, 3) of a Context, in nm."""
    return context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)


def thermal_energy(temperature: float) -> float:
    """Thermal energy RT in kJ/mol at a temperature in K."""
    return unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin) * temperature


def named_platform(name: str | None) -> openmm.Platform:
    """OpenMM's platform of a name, by default the fastest.

    Raises
    ------
    MDGenError
        If it is not installed; names those that are.
    """
    if name is None:
        return fastest_platform()
    there = {platform.getName(): platform for platform in _platforms()}
    if name not in there:
        raise MDGenError(
            f"platform is {name!r}, which OpenMM does not have here: take {' or '.join(there)}, or leave it out for "
            "the fastest"
        )
    return there[name]


def fastest_platform() -> openmm.Platform:
    """OpenMM's platform of the highest speed among those that are installed."""
    return max(_platforms(), key=lambda platform: platform.getSpeed())


def _platforms() -> list[openmm.Platform]:
    return [openmm.Platform.getPlatform(k) for k in range(openmm.Platform.getNumPlatforms())]
