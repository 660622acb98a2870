"""Minimisation of a protein's start: with a limit of iterations, watched while it goes on, and judged at its end.

Peptides are minimised by `systems.relaxed`, to the end and on one thread, so that the start is the same each time. What
is longer would take minutes so, and is minimised here on all threads. Three things make it quick: constraints become
springs, since OpenMM's minimiser goes over the whole structure again and again to satisfy constraints; the force field
of `systems.protein_system` ends at a cutoff; and the number of iterations is limited. Positions are ``(n_atoms, 3)`` in
nanometre, energies in kJ/mol, forces in kJ/mol/nm.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm
from openmm import app, unit
from scipy.spatial import cKDTree

from openmm_mdgen.errors import StateError
from openmm_mdgen.geometry.bonds import TOO_CLOSE, lengths
from openmm_mdgen.md.systems import fastest_platform
from openmm_mdgen.molecule.names import parent
from openmm_mdgen.molecule.positions import BondedAtoms

LONGEST_PEPTIDE = 10  # residues, of the longest chains that bundled weights take
_BOND_TOLERANCE = 0.02  # nm, by which a bond of a usable start may be off
_SPRING = 4e5  # kJ/mol/nm^2, about that of a bond to hydrogen
# Share of the tolerance: OpenMM compares forces with it relative to the coordinates, which change on the way.
_CONVERGED = 1.1
_FEW = 5  # iterations, with which a minimisation that begins anew leads nowhere
_SILENCE = 10.0  # s between two lines where there is no terminal


CONVERGED, AT_LIMIT, STUCK = "converged", "stopped at its limit", "could go no further"


@dataclass(frozen=True)
class Iteration:
    """Where a minimisation stands."""

    number: int  # of the iteration
    energy: float
    rms_force: float  # root mean square of all components


Watch = Callable[[Iteration], None]


@dataclass(frozen=True)
class Minimiser:
    """How far a start is minimised.

    Parameters
    ----------
    max_iterations : int
        Largest number of iterations.
    tolerance : float, kJ/mol/nm
        Root mean square of the force components at which the minimisation ends before that.
    """

    max_iterations: int = 500
    tolerance: float = 10.0


@dataclass(frozen=True, eq=False)
class Minimised:
    """A start and how it was reached."""

    positions: np.ndarray  # (n_atoms, 3) nm
    iterations: int
    energy: float
    rms_force: float
    end: str  # how it ended: CONVERGED, AT_LIMIT or STUCK

    @property
    def has_converged(self) -> bool:
        """Whether forces are as small as they were to be."""
        return self.end == CONVERGED

    def __str__(self) -> str:
        return (
            f"minimisation {self.end} after {self.iterations} iterations, at an RMS force of {self.rms_force:.3g} "
            f"kJ/mol/nm and an energy of {self.energy:.0f} kJ/mol"
        )


def is_peptide(topology: app.Topology) -> bool:
    """Whether every chain has at most `LONGEST_PEPTIDE` amino acids."""
    return all(
        sum(parent(residue.name) is not None for residue in chain.residues()) <= LONGEST_PEPTIDE
        for chain in topology.chains()
    )


def number_of_threads(asked: int | None = None) -> int:
    """Threads of OpenMM's CPU platform: as asked, else as OPENMM_CPU_THREADS says, else one for each usable core."""
    if asked is not None:
        return asked
    stated = os.environ.get("OPENMM_CPU_THREADS", "")
    if stated.isdigit() and int(stated) > 0:
        return int(stated)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def minimise(
    system: openmm.System,
    positions: np.ndarray,
    minimiser: Minimiser,
    *,
    threads: int | None = None,
    watch: Watch | None = None,
) -> Minimised:
    """Minimise a structure on the fastest platform that works here.

    Parameters
    ----------
    system : openmm.System
    positions : (n_atoms, 3) nm
    minimiser : Minimiser
    threads : int, optional
        Of the CPU platform; default: see `number_of_threads`.
    watch : callable, optional
        Called with each `Iteration`.

    Returns
    -------
    Minimised

    Raises
    ------
    StateError
        If positions do not stay finite.
    """
    free, integrator = without_constraints(system), openmm.VerletIntegrator(0.001)
    platform = fastest_platform()
    try:
        if platform.getName() in ("Reference", "CPU"):
            raise openmm.OpenMMException("no GPU")
        context = openmm.Context(free, integrator, platform)
    except openmm.OpenMMException:  # a GPU's platform that is installed without a GPU
        integrator = openmm.VerletIntegrator(0.001)
        properties = {"Threads": str(number_of_threads(threads))}
        context = openmm.Context(free, integrator, openmm.Platform.getPlatformByName("CPU"), properties)
    context.setPositions(positions)
    return minimise_context(context, minimiser, watch=watch)


def minimise_context(context: openmm.Context, minimiser: Minimiser, *, watch: Watch | None = None) -> Minimised:
    """Minimise what stands in a Context of a System without constraints; parameters and errors as in `minimise`.

    The minimiser gives up where its picture of the curvature fails, as a step over a cutoff makes it. It then begins
    anew, as long as that leads on.
    """
    reporter = Iterations(watch)
    while True:
        before, left = reporter.number, minimiser.max_iterations - reporter.number
        openmm.LocalEnergyMinimizer.minimize(context, minimiser.tolerance, left, reporter)
        state = context.getState(positions=True, energy=True, forces=True)
        forces = state.getForces(asNumpy=True).value_in_unit(unit.kilojoule_per_mole / unit.nanometer)
        rms = _rms(forces)
        if rms <= _CONVERGED * minimiser.tolerance:
            end = CONVERGED
        elif reporter.number >= minimiser.max_iterations:
            end = AT_LIMIT
        elif reporter.number - before < _FEW:
            end = STUCK
        else:
            continue
        break
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    if not np.isfinite(positions).all():
        raise StateError("energy minimisation of the start failed: mend the structure, then set its positions")
    energy = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    return Minimised(np.array(positions), reporter.number, energy, rms, end)


class Iterations(openmm.MinimizationReporter):
    """OpenMM's reporter of a minimisation: counts iterations and hands them on; it changes nothing of the result."""

    def __init__(self, watch: Watch | None = None) -> None:
        super().__init__()
        self._watch, self.number = watch, 0

    def report(self, iteration: int, x: list[float], grad: list[float], args: dict[str, float]) -> bool:
        self.number += 1
        if self._watch:
            self._watch(Iteration(self.number, args["system energy"], _rms(np.array(grad))))
        return False


def _rms(forces: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(forces))))


def without_constraints(system: openmm.System) -> openmm.System:
    """A copy with a spring in place of each constraint."""
    system = copy.deepcopy(system)
    springs = openmm.HarmonicBondForce()
    springs.setUsesPeriodicBoundaryConditions(system.usesPeriodicBoundaryConditions())
    for k in reversed(range(system.getNumConstraints())):
        i, j, length = system.getConstraintParameters(k)
        springs.addBond(i, j, length, _SPRING)
        system.removeConstraint(k)
    if springs.getNumBonds():
        system.addForce(springs)
    return system


def require_sound(topology: app.Topology, system: openmm.System, start: Minimised, atoms: np.ndarray) -> None:
    """Refuse a start that is no conformation of its molecule.

    Every bond has to be within 0.02 nm of the force field's length, and atoms more than three bonds apart as far from
    each other as `geometry.bonds.TOO_CLOSE` says.

    Parameters
    ----------
    topology : openmm.app.Topology
        Of the protein.
    system : openmm.System
        In which it was minimised, with whatever is around it.
    start : Minimised
    atoms : (n,) int
        The atoms of `topology` in the System.

    Raises
    ------
    StateError
        Naming two atoms.
    """
    protein = BondedAtoms(topology)
    chosen = atoms[protein.atom_indices]
    xyz = start.positions[chosen]
    fault = _worst_bond(protein, xyz, _lengths_of(system, chosen)) or _overlap(protein, xyz)
    if fault:
        raise StateError(
            f"the start cannot be used: {start}, and {fault}. Mend the structure, or allow the minimisation more "
            "iterations"
        )


def _lengths_of(system: openmm.System, atoms: np.ndarray) -> dict[tuple[int, int], float]:
    """Lengths in nm of the bonds that a System knows, by atoms numbered among `atoms`."""
    place = {int(atom): k for k, atom in enumerate(atoms)}
    found = [system.getConstraintParameters(k) for k in range(system.getNumConstraints())]
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            found += [force.getBondParameters(k)[:3] for k in range(force.getNumBonds())]
    inside = ((place[i], place[j], length) for i, j, length in found if i in place and j in place)
    return {(min(i, j), max(i, j)): length.value_in_unit(unit.nanometer) for i, j, length in inside}


def _worst_bond(protein: BondedAtoms, xyz: np.ndarray, known: dict[tuple[int, int], float]) -> str:
    bonds = np.sort(protein.graph.bonds, axis=1)
    wanted = np.array([known.get((i, j), np.nan) for i, j in bonds.tolist()])
    off = np.nan_to_num(np.abs(lengths(xyz, bonds) - wanted))
    if not len(off) or off.max() <= _BOND_TOLERANCE:
        return ""
    i, j = bonds[int(off.argmax())]
    return f"the bond of {_told(protein, i)} and {_told(protein, j)} is {off.max():.3f} nm off"


def _overlap(protein: BondedAtoms, xyz: np.ndarray) -> str:
    allowed = np.array(TOO_CLOSE)
    close = cKDTree(xyz).query_pairs(allowed.max(), output_type="ndarray")
    depth = allowed[protein.is_hydrogen[close].sum(axis=1)] - lengths(xyz, close)
    for k in np.argsort(-depth):
        i, j = close[k]
        if depth[k] <= 0:
            break
        if j not in protein.graph.within(i, 3):
            apart = np.linalg.norm(xyz[i] - xyz[j])
            return f"{_told(protein, i)} and {_told(protein, j)} are {apart:.3f} nm apart without a bond"
    return ""


def _told(protein: BondedAtoms, k: int) -> str:
    return f"{protein.atom_labels[k]} {protein.atom_names[k]}"


class Lines:
    """Tells of a minimisation on the error stream, now and then.

    Parameters
    ----------
    what : str
        What is minimised.
    max_iterations : int, optional
        The limit, which is told at once. Without one nothing is told of a minimisation that takes a few seconds.
    """

    def __init__(self, what: str, max_iterations: int | None = None) -> None:
        self._what, self._limit = what, "" if max_iterations is None else f" of at most {max_iterations}"
        if max_iterations is not None:
            self._say(f"{what}: at most {max_iterations} iterations")
        self._last = time.perf_counter()

    def __call__(self, iteration: Iteration) -> None:
        """Tell of an iteration if the last line is long ago."""
        now = time.perf_counter()
        if now - self._last >= _SILENCE:
            self._last = now
            force = f"RMS force {iteration.rms_force:.3g} kJ/mol/nm"
            self._say(f"{self._what}: iteration {iteration.number}{self._limit}, {force}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
