"""Structures that bring their force field: AMBER's and CHARMM's topology files, with positions from a second file.

A structure stays in its own force field: with its water, if it has any, else in the implicit solvent OBC2. Positions
are in nanometre.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md.drafts import Draft
from openmm_mdgen.md.minimisation import Iterations, Lines
from openmm_mdgen.md.prepared import Prepared, WholeStructure
from openmm_mdgen.md.readers import kind_of, read_draft
from openmm_mdgen.md.recognition import keep_protein, require_one_chain, split_chains
from openmm_mdgen.md.soundness import check_chains, make_whole
from openmm_mdgen.md.systems import positions_of
from openmm_mdgen.molecule import names

_AMBER, _CHARMM = (".prmtop", ".parm7"), (".psf",)
_CUTOFFS = {_AMBER: (0.9, None), _CHARMM: (1.2, 1.0)}  # nm: of direct-space forces, and where they begin to be switched
_BOX_SHARE = 0.45  # of a periodic box that a cutoff may fill


def is_topology_file(path: Path) -> bool:
    """Whether a file's name is one of a topology without positions, of AMBER or CHARMM."""
    return path.suffix.lower() in _AMBER + _CHARMM


@dataclass(frozen=True)
class OwnField:
    """What makes Systems of a whole structure by its own files."""

    path: Path
    topology: app.Topology
    create_system: Callable[..., openmm.System]  # of OpenMM
    box: np.ndarray | None  # (3, 3) nm, box vectors as rows

    def system(self, **options: Any) -> openmm.System:
        """The System of the whole structure, by OpenMM's options."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Non-optimal GB parameters")  # another solvent's radii serve, too
            return self.create_system(**options)

    def require_dynamics(self) -> None:
        """Raise `MDGenError` unless the structure can be simulated as its files have it."""
        if self.has_water and self.box is None:
            raise MDGenError(
                f"{self.path} has water, and its positions no periodic box: give positions with a box (.rst7, .gro, or "
                ".pdb with CRYST1)"
            )
        self.solvent()

    @property
    def has_water(self) -> bool:
        return any(residue.name.upper() in names.WATERS for residue in self.topology.residues())

    def solvent(self) -> dict[str, Any]:
        """The options of `system` that stand for the structure's solvent.

        Raises
        ------
        NoRadiiError
            If the structure has no water, and its files no radii for implicit solvent.
        """
        if not self.has_water:
            self._require_radii()
            return {"implicitSolvent": app.OBC2}
        cutoff, switch = _CUTOFFS[_AMBER if self.path.suffix.lower() in _AMBER else _CHARMM]
        if self.box is None:  # water around the protein, as a droplet
            return {"nonbondedMethod": app.CutoffNonPeriodic, "nonbondedCutoff": cutoff * unit.nanometer}
        room = _BOX_SHARE * float(np.diag(self.box).min())
        options = {"nonbondedMethod": app.PME, "nonbondedCutoff": min(cutoff, room) * unit.nanometer}
        return options | ({"switchDistance": switch * unit.nanometer} if switch and switch < room else {})

    def _require_radii(self) -> None:
        try:
            system = self.system(implicitSolvent=app.OBC2)
            openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
        except (openmm.OpenMMException, ValueError, KeyError, IndexError) as error:
            raise NoRadiiError(
                f"{self.path} has no radii for implicit solvent ({error}), and there is no water: set them, in tleap "
                "by 'set default PBradii mbondi2', or in ParmEd by 'changeRadii mbondi2'"
            ) from error


class NoRadiiError(MDGenError):
    """A structure without water whose files have no radii for implicit solvent."""


@dataclass(frozen=True, eq=False)
class PreparedInOwnField(Prepared):
    """A protein with all atoms, and the System of the whole structure that it was found in."""

    whole: openmm.System
    whole_positions: np.ndarray  # (N, 3) nm, of the whole structure
    atoms: np.ndarray  # (n_atoms,) int: the protein's in the whole structure
    field: OwnField
    no_radii: str  # why the structure is in vacuum; empty where it is not

    def minimised(self) -> np.ndarray:
        """Positions (n_atoms, 3) in nm, minimised in the structure's own force field."""
        structure = self.to_minimise()
        platform = openmm.Platform.getPlatformByName("CPU")
        context = openmm.Context(structure.system, openmm.VerletIntegrator(0.001), platform, {"Threads": "1"})
        context.setPositions(structure.positions)
        openmm.LocalEnergyMinimizer.minimize(context, reporter=Iterations(Lines("minimising the start")))
        found = positions_of(context)[self.atoms]
        self.stereochemistry.require_kept(self.positions, found)
        return found

    def drawn_anew(self, fault: str) -> PreparedInOwnField:
        """There is no other: the files have all atoms."""
        raise StateError(f"{self.field.path}: the start cannot be used: {fault}, when it was minimised: mend it")

    def to_minimise(self) -> WholeStructure:
        """The whole structure in its own force field; warns where that has no solvent."""
        if self.no_radii:
            warnings.warn(f"{self.no_radii}. Until then it is minimised in vacuum", stacklevel=3)
        return WholeStructure(self.whole, self.whole_positions, self.atoms)

    def system(self) -> openmm.System:
        """A System of the protein's masses, without forces: amber14 may not know its residues."""
        system = openmm.System()
        for atom in self.topology.atoms():
            system.addParticle(atom.element.mass if atom.element else 0.0)
        return system


def prepare_in_own_field(
    topology: Path, positions: Path, parameters: Sequence[Path] = (), *, each_chain: bool = False
) -> PreparedInOwnField:
    """Read a structure with its force field.

    Parameters
    ----------
    topology : Path
        AMBER's .prmtop or .parm7, or CHARMM's .psf.
    positions : Path
        AMBER's .rst7, .inpcrd or NetCDF restart, CHARMM's .crd, or a structure file of all atoms in the same order.
    parameters : sequence of Path
        CHARMM's parameter files (.rtf, .prm, .str).
    each_chain : bool
        Take several protein chains; by default they are refused.

    Returns
    -------
    PreparedInOwnField

    Raises
    ------
    UnsupportedTopologyError
        If there is no protein, or it is broken, closed or has D residues.
    MDGenError
        If a file cannot be read, or positions are of other atoms.
    """
    for path in (topology, positions, *parameters):
        if not path.is_file():
            raise MDGenError(f"{path}: no such file")
    if topology.suffix.lower() in _CHARMM and not parameters:
        raise MDGenError(
            f"{topology}: name CHARMM's parameter files by --parameters, such as --parameters par_all36m.prm"
        )
    xyz, box = _read(positions, lambda: _positions(positions, topology))
    whole, create_system = _read(topology, lambda: _topology(topology, parameters, box))
    if len(xyz) != whole.getNumAtoms():
        raise MDGenError(
            f"{positions} has {len(xyz)} atoms, but {topology} has {whole.getNumAtoms()}: give positions of all atoms"
        )
    draft = Draft.of(whole, xyz)
    draft.box = box
    everything = [atom for residue in draft.residues for atom in residue.atoms]
    notes = keep_protein(draft)
    notes += split_chains(draft)
    if not each_chain:
        require_one_chain(draft, notes)
    notes += make_whole(draft)
    check_chains(draft)
    kept = {id(atom) for residue in draft.residues for atom in residue.atoms}
    chosen = np.array([k for k, atom in enumerate(everything) if id(atom) in kept])
    xyz = np.array([atom.position for atom in everything])
    field = OwnField(topology, whole, create_system, box)
    system, no_radii = _read(topology, lambda: _to_minimise(field))
    part = _part(whole, chosen)
    return PreparedInOwnField(part, xyz[chosen], tuple(notes), system, xyz, chosen, field, no_radii)


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """What a reader gives; whatever it raises names the file."""
    try:
        return read()
    except MDGenError:
        raise
    except Exception as error:  # OpenMM's readers raise what a malformed field provokes
        raise MDGenError(f"{path} cannot be read: {error}") from error


def _positions(path: Path, topology: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions (N, 3) and box vectors (3, 3) of a file."""
    if kind_of(path) is not None:
        draft, _ = read_draft(path)
        return np.array([atom.position for residue in draft.residues for atom in residue.atoms]), draft.box
    if topology.suffix.lower() in _CHARMM and path.suffix.lower() in (".crd", ".cor"):
        return np.array(app.CharmmCrdFile(str(path)).positions.value_in_unit(unit.nanometer)), None
    file = app.AmberInpcrdFile(str(path))
    box = None if file.boxVectors is None else np.array(file.boxVectors.value_in_unit(unit.nanometer))
    return np.array(file.positions.value_in_unit(unit.nanometer)), box


def _topology(
    path: Path, parameters: Sequence[Path], box: np.ndarray | None
) -> tuple[app.Topology, Callable[..., openmm.System]]:
    """The topology of a file, and the function that makes its System."""
    vectors = None if box is None else [openmm.Vec3(*row) for row in box] * unit.nanometer
    if path.suffix.lower() in _AMBER:
        amber = app.AmberPrmtopFile(str(path), periodicBoxVectors=vectors)
        return amber.topology, amber.createSystem
    charmm = app.CharmmPsfFile(str(path), periodicBoxVectors=vectors)
    known = app.CharmmParameterSet(*map(str, parameters))
    return charmm.topology, lambda **options: charmm.createSystem(known, **options)


def _to_minimise(field: OwnField) -> tuple[openmm.System, str]:
    """The System with the structure's solvent, or in vacuum where there is none, and the reason of that."""
    try:
        return field.system(**field.solvent()), ""
    except NoRadiiError as error:
        return field.system(), str(error)


def _part(topology: app.Topology, atoms: np.ndarray) -> app.Topology:
    """The topology of some atoms."""
    modeller = app.Modeller(topology, [openmm.Vec3(0, 0, 0)] * topology.getNumAtoms() * unit.nanometer)
    kept = set(atoms.tolist())
    modeller.delete([atom for atom in modeller.topology.atoms() if atom.index not in kept])
    part = modeller.topology
    part.setPeriodicBoxVectors(None)
    return part
