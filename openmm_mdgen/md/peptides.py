"""Where a run begins: an all-atom structure, its implicit-solvent System and its thermostat.

Positions are ``(n_atoms, 3)`` quantities, in nanometre. Force field and thermostat are those of the published
tetrapeptide data: amber14 with GBn2, bonds to hydrogen constrained, 350 K, friction 0.3 per ps, steps of 4 fs.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.files import replacing
from openmm_mdgen.geometry.residues import RESTYPES
from openmm_mdgen.molecule.chain import ProteinChain

# Backbone basins (phi, psi) in degrees: both helices' side, sheet, polyproline, extended, bridge, inverse gamma turn.
_BASINS = ((-63, -42), (-120, 130), (-70, 145), (-140, 160), (-90, 0), (-80, 80))
_PROLINE_PHI = -65
_SPREAD = 12  # degrees

_PDB_SUFFIXES = {".pdb", ".ent"}


@cache
def force_field() -> app.ForceField:
    """amber14 with the GBn2 implicit solvent."""
    return app.ForceField("amber14-all.xml", "implicit/gbn2.xml")


def load_structure(source: str | Path, *, seed: int = 0) -> tuple[app.Topology, unit.Quantity]:
    """Read a PDB file, or build a peptide from its sequence.

    Parameters
    ----------
    source : str or Path
        A file name ending in .pdb or .ent, or a sequence of one-letter codes.
    seed : int
        For hydrogens that are missing in a file, or for `build_peptide`.

    Returns
    -------
    topology : openmm.app.Topology
        A file that lacks nothing keeps its atoms, their names and order.
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    UnsupportedTopologyError
        If heavy atoms are missing, or the model or the force field does not know what the file holds.
    MDGenError
        If `source` is neither a file nor a sequence.
    """
    if Path(source).suffix.lower() in _PDB_SUFFIXES:
        return _read_pdb(Path(source), seed)
    if isinstance(source, str) and source and set(source) <= set(RESTYPES):
        return build_peptide(source, seed=seed)
    raise MDGenError(
        f"{str(source)!r} is neither a PDB file (its name ends in .pdb) nor a sequence of one-letter codes "
        f"out of {RESTYPES}"
    )


def build_peptide(sequence: str, *, seed: int = 0) -> tuple[app.Topology, unit.Quantity]:
    """Build a peptide with free termini, protonated for pH 7, in a conformation drawn at random.

    Each residue starts in a backbone basin drawn uniformly. The atoms may still be close: minimise before use.

    Parameters
    ----------
    sequence : str
        At least two one-letter codes.
    seed : int
        Same sequence and seed, same structure.

    Returns
    -------
    topology : openmm.app.Topology
    positions : Quantity, (n_atoms, 3)

    Raises
    ------
    MDGenError
        If the sequence is shorter than two residues or has an unknown letter.

    Examples
    --------
    >>> topology, positions = build_peptide("AKLV", seed=7)
    >>> topology.getNumResidues()
    4
    """
    unknown = sorted(set(sequence) - set(RESTYPES))
    if unknown:
        raise MDGenError(f"{''.join(unknown)!r} in {sequence!r}: not among the 20 amino acids {RESTYPES}")
    if len(sequence) < 2:
        raise MDGenError(f"{sequence!r}: a peptide needs at least two residues")
    heavy = app.PDBFile(_heavy_atoms(sequence, random.Random(seed)))
    return _with_hydrogens(heavy.topology, heavy.positions, seed)


def write_pdb(path: str | Path, topology: app.Topology, positions: np.ndarray) -> None:
    """One structure, (n_atoms, 3) nm, with the names and numbers of its residues; the file appears whole."""
    with replacing(path) as temporary, open(temporary, "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file, keepIds=True)


def implicit_system(topology: app.Topology) -> openmm.System:
    """amber14 with GBn2, no cutoff, bonds to hydrogen constrained, hydrogens of 3 amu: good for steps of 4 fs."""
    _require_parameters(topology)
    return force_field().createSystem(
        topology, nonbondedMethod=app.NoCutoff, constraints=app.HBonds, hydrogenMass=3 * unit.amu
    )


def solvated(
    topology: app.Topology, positions: np.ndarray, *, edge: float, temperature: float = 350.0
) -> tuple[app.Topology, openmm.System, unit.Quantity]:
    """A cube of TIP3P-FB water around a peptide in amber14, neutral, at 1 bar; else as `implicit_system`.

    Parameters
    ----------
    topology : openmm.app.Topology
        Complete, hydrogens too; its atoms come first in the new topology.
    positions : (n_atoms, 3) nm
    edge : float, nm
        At least twice the cutoff of 0.8 nm.
    temperature : float, K
        Of the barostat.

    Returns
    -------
    topology, system, positions
    """
    field = app.ForceField("amber14-all.xml", "amber14/tip3pfb.xml")
    modeller = app.Modeller(topology, positions * unit.nanometer)
    modeller.addSolvent(field, model="tip3p", boxSize=openmm.Vec3(edge, edge, edge) * unit.nanometer)
    system = field.createSystem(
        modeller.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.8 * unit.nanometer,
        constraints=app.HBonds,
        hydrogenMass=3 * unit.amu,
    )
    system.addForce(openmm.MonteCarloBarostat(1 * unit.bar, temperature * unit.kelvin))
    return modeller.topology, system, modeller.positions


_SEED_FOR_ZERO = 2**31 - 1  # OpenMM takes 0 as a wish for a random one


def langevin(
    *,
    temperature: float | unit.Quantity = 350.0,
    friction: float | unit.Quantity = 0.3,
    step_size: float | unit.Quantity = 0.004,
    seed: int | None = None,
) -> openmm.LangevinMiddleIntegrator:
    """The thermostat of the published data.

    Parameters
    ----------
    temperature : float (K) or Quantity
    friction : float (1/ps) or Quantity
    step_size : float (ps) or Quantity
    seed : int, optional
        Of the random force; drawn by OpenMM where absent.
    """
    integrator = openmm.LangevinMiddleIntegrator(temperature, friction, step_size)
    if seed is not None:
        integrator.setRandomNumberSeed(seed or _SEED_FOR_ZERO)
    return integrator


def _read_pdb(path: Path, seed: int) -> tuple[app.Topology, unit.Quantity]:
    if not path.is_file():
        raise MDGenError(f"{path}: no such file")
    try:
        pdb = app.PDBFile(str(path))
    except Exception as error:  # the reader raises whatever the malformed field provokes
        raise MDGenError(f"{path} cannot be read as a PDB file: {error}") from error
    topology, positions = pdb.topology, pdb.getPositions(asNumpy=True)
    ProteinChain.from_openmm(topology)  # names missing heavy atoms, which hydrogens must not be added to
    if force_field().getUnmatchedResidues(topology):
        topology, positions = _with_hydrogens(topology, positions, seed)
    return topology, positions


def _with_hydrogens(topology: app.Topology, positions: unit.Quantity, seed: int) -> tuple[app.Topology, unit.Quantity]:
    modeller = app.Modeller(topology, positions)
    with _python_random(seed):  # Modeller starts the minimisation of hydrogens from the global generator
        modeller.addHydrogens(pH=7, platform=openmm.Platform.getPlatformByName("Reference"))
    _require_parameters(modeller.topology)
    return modeller.topology, np.array(modeller.positions.value_in_unit(unit.nanometer)) * unit.nanometer


def _require_parameters(topology: app.Topology) -> None:
    unmatched = force_field().getUnmatchedResidues(topology)
    if unmatched:
        names = ", ".join(f"{r.name} {r.id} (chain {r.chain.id})" for r in unmatched[:3])
        raise UnsupportedTopologyError(
            f"amber14 with GBn2 has no parameters for {names}{' and others' if len(unmatched) > 3 else ''}: remove "
            "solvent, ions and ligands, and complete the chain's ends (OXT) and hydrogens, e.g. with PDBFixer"
        )


def _heavy_atoms(sequence: str, rng: random.Random) -> io.StringIO:
    """A PDB text with all heavy atoms of the peptide."""
    import Bio.PDB
    import PeptideBuilder
    from PeptideBuilder import Geometry

    geometries, psi = [], 0.0
    for letter in sequence:
        geometry = Geometry.geometry(letter)
        basin_phi, basin_psi = rng.choice(_BASINS)
        geometry.phi = rng.gauss(_PROLINE_PHI if letter == "P" else basin_phi, _SPREAD)
        geometry.psi_im1 = psi
        psi = rng.gauss(basin_psi, _SPREAD)
        geometries.append(geometry)
    structure = PeptideBuilder.make_structure_from_geos(geometries)
    with np.errstate(invalid="ignore"):  # from a dihedral of exactly 180 degrees, which comes out right
        PeptideBuilder.add_terminal_OXT(structure)
    for residue in structure.get_residues():
        if residue.get_resname() == "LEU":  # PeptideBuilder has the two methyl groups' names the wrong way round
            first, second = residue["CD1"], residue["CD2"]
            positions = first.coord.copy(), second.coord.copy()
            second.set_coord(positions[0])
            first.set_coord(positions[1])
    text = io.StringIO()
    writer = Bio.PDB.PDBIO()
    writer.set_structure(structure)
    writer.save(text)
    text.seek(0)
    return text


@contextmanager
def _python_random(seed: int) -> Iterator[None]:
    """Seed Python's global generator for a while."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def relaxed(topology: app.Topology, positions: unit.Quantity | np.ndarray) -> np.ndarray:
    """Minimised in amber14 with GBn2, (n_atoms, 3) nm; on one thread, so that it comes out the same each time."""
    return relaxed_frames(topology, [positions])[0]


def relaxed_frames(
    topology: app.Topology, frames: Iterable[unit.Quantity | np.ndarray], *, max_iterations: int = 0
) -> np.ndarray:
    """The same of several structures, (n, n_atoms, 3) nm; with `max_iterations` above 0, no further than these."""
    context = openmm.Context(
        implicit_system(topology),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1"},
    )
    found = []
    for frame in frames:
        context.setPositions(frame)
        openmm.LocalEnergyMinimizer.minimize(context, maxIterations=max_iterations)
        found.append(positions_of(context))
    return np.stack(found)


def positions_of(context: openmm.Context) -> np.ndarray:
    """(n_atoms, 3) nm."""
    return context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)


def thermal_energy(temperature: float) -> float:
    """kJ/mol, of a temperature in K."""
    return unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin) * temperature


def fastest_platform() -> openmm.Platform:
    platforms = [openmm.Platform.getPlatform(k) for k in range(openmm.Platform.getNumPlatforms())]
    return max(platforms, key=lambda platform: platform.getSpeed())
