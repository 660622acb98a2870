"""Trajectories of any program and any length, read piece by piece.

Times in picosecond. A piece is an `mdtraj.Trajectory` of protein atoms alone, of at most `CHUNK` frames and `ATOMS`
atoms in all of them, every molecule whole: what has been measured on it is kept, its coordinates are not. One million
frames of a tetrapeptide take well below 2 GB so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import mdtraj
import numpy as np

from openmm_mdgen.analysis.coarse import CoarseCounter, Counts
from openmm_mdgen.analysis.intervals import TrajectoryFile, frame_interval_of, place_in_time
from openmm_mdgen.analysis.layout import Layout, agreed, in_terms_of, is_protein
from openmm_mdgen.analysis.torsions import TorsionSeries, torsion_atoms
from openmm_mdgen.analysis.validity import Geometry, GeometryCounter
from openmm_mdgen.analysis.whole import box_vectors, made_whole
from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.files import require_file
from openmm_mdgen.trajectory_formats import format_of, missing_frames, quiet_readers, require_library

CHUNK = 5000  # frames
ATOMS = 4_000_000  # of all frames of a piece together, with what a file holds besides the protein
T = TypeVar("T")

Source: TypeAlias = TrajectoryFile | mdtraj.Trajectory
Sources: TypeAlias = Source | Sequence[Source]

__all__ = ["Measurement", "Opened", "Source", "Sources", "TrajectoryFile", "frame_interval_of", "measure", "pieces"]


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one pass over a trajectory leaves."""

    torsions: TorsionSeries
    geometry: Geometry
    coarse: Counts


@dataclass(frozen=True)
class LeftOut:
    """What cannot be compared, since one side lacks it."""

    only_generated: tuple[str, ...]  # names of torsions
    only_reference: tuple[str, ...]
    holes: tuple[str, ...]  # where the reference's chain has a gap, which nothing is measured across

    @property
    def torsions(self) -> tuple[str, ...]:
        """Those of either side."""
        return self.only_generated + self.only_reference


@dataclass(frozen=True, eq=False)
class Opened:
    """A trajectory whose topology is known."""

    source: Source
    layout: Layout

    @classmethod
    def of(cls, source: Source, name: str = "the trajectory") -> Opened:
        """Read its topology and its first piece.

        Parameters
        ----------
        source : TrajectoryFile or mdtraj.Trajectory
        name : str
            What messages call it where it is no file.

        Raises
        ------
        MDGenError
            If it cannot be read, has no protein or no frame.
        """
        name = str(source.path) if isinstance(source, TrajectoryFile) else name
        first = next(_read(source), None)
        if first is None or first.n_frames == 0:
            raise MDGenError(f"{name} has no frame")
        return cls(source, Layout.of(first.topology, first.xyz, box_vectors(first), file=name))

    def pieces(self) -> Iterator[mdtraj.Trajectory]:
        """The protein's atoms, some frames at a time.

        Raises
        ------
        StateError
            If a position is not finite, or a molecule is torn over a box that is not known.
        """
        done = 0
        for piece in _read(self.source):
            finite = np.isfinite(piece.xyz).all(axis=(1, 2))
            if not finite.all():
                broken = int(np.argmin(finite))
                raise StateError(
                    f"{self.layout.file} has positions that are not finite, first "
                    f"{place_in_time(self.source, done + broken, piece.time[broken])}: leave those frames out"
                )
            yield made_whole(piece, self.layout, done)
            done += piece.n_frames

    def measure(self) -> Measurement:
        """Read the trajectory once, in pieces; see `measure`."""
        atoms = torsion_atoms(self.layout)
        index = np.array(list(atoms.values()), dtype=int).reshape(-1, 4)
        geometry, coarse = None, CoarseCounter(self.layout)
        angles, times = [], []
        for piece in self.pieces():
            found = np.empty((piece.n_frames, len(index)), dtype=np.float32)
            if len(index):
                found = mdtraj.compute_dihedrals(piece, index, periodic=False).astype(np.float32, copy=False)
            angles.append(found)
            times.append(piece.time)
            geometry = geometry or GeometryCounter(piece.topology, self.layout)
            geometry.add(piece.xyz)
            coarse.add(piece)
        if geometry is None:
            raise MDGenError(f"{self.layout.file} has no frame")
        counts = coarse.result()
        if not (atoms or counts["ca_distances"]):
            raise MDGenError(f"{self.layout.file} has no torsion: a comparison needs at least two residues")
        interval = frame_interval_of(self.source, np.concatenate(times))
        return Measurement(TorsionSeries(tuple(atoms), np.concatenate(angles), interval), geometry.result(), counts)


@dataclass(frozen=True, eq=False)
class Alike:
    """Trajectories that are laid out alike, and what is left out of them for that."""

    generated: list[Opened]
    reference: list[Opened]
    left_out: LeftOut


def opened_alike(generated: Sequence[Source], reference: Sequence[Source]) -> Alike:
    """Open trajectories of one molecule, laid out alike: only what all of them have is measured.

    Parameters
    ----------
    generated, reference : sequence of TrajectoryFile or mdtraj.Trajectory
        Names and links of residues are those of the first of the reference.

    Returns
    -------
    Alike

    Raises
    ------
    MDGenError
        If one cannot be read, or the molecules differ.
    """
    ours = [Opened.of(source, "the generated trajectory") for source in generated]
    theirs = [Opened.of(source, "the reference") for source in reference]
    first = theirs[0].layout
    layouts = agreed([o.layout for o in (*ours, *theirs)], first)
    alike = [Opened(o.source, layout) for o, layout in zip((*ours, *theirs), layouts, strict=True)]
    shared = torsion_atoms(layouts[0]).keys()

    def alone(side: list[Opened]) -> tuple[str, ...]:
        names = dict.fromkeys(name for o in side for name in torsion_atoms(in_terms_of(o.layout, first)))
        return tuple(name for name in names if name not in shared)

    label = {residue.place: residue.label.split(" ", 1)[1] for residue in first.residues}
    holes = tuple(f"{label[a]} and {label[b]}" for a, b in first.holes)
    return Alike(alike[: len(ours)], alike[len(ours) :], LeftOut(alone(ours), alone(theirs), holes))


def sound_torsions(sources: Sequence[Source]) -> TorsionSeries:
    """The torsions of several trajectories of one molecule together, those alone that mean something."""
    return TorsionSeries.joined([measure(source).torsions for source in sources]).sound()


def measure(source: Source, like: Source | Layout | None = None) -> Measurement:
    """Read a trajectory once, in pieces.

    Parameters
    ----------
    source : TrajectoryFile or mdtraj.Trajectory
    like : TrajectoryFile, mdtraj.Trajectory or Layout, optional
        One of the same molecule whose names and links of residues are taken. Default: its own.

    Returns
    -------
    Measurement

    Raises
    ------
    MDGenError
        If it cannot be read, has no protein or no frame, or is of another molecule.
    StateError
        If a position is not finite, or the molecule is torn over a periodic box that is not known.
    """
    opened = Opened.of(source)
    if like is not None:
        theirs = like if isinstance(like, Layout) else Opened.of(like, "the reference").layout
        opened = Opened(source, agreed([opened.layout], theirs)[0])
    return opened.measure()


def pieces(source: Source) -> Iterator[mdtraj.Trajectory]:
    """The protein's atoms, some frames at a time, every molecule whole; raises as `measure`."""
    try:
        opened = Opened.of(source)
    except MDGenError as error:
        if "has no frame" in str(error):
            return
        raise
    yield from opened.pieces()


def as_list(sources: Source | Sequence[T]) -> list[Source | T]:
    """One trajectory or several, as a list."""
    return [sources] if isinstance(sources, TrajectoryFile | mdtraj.Trajectory) else list(sources)


def given(sources: Sources, name: str) -> list[Source]:
    """What a user gives: one trajectory or several, as a list.

    Raises
    ------
    MDGenError
        If there is none, or something else.
    """
    if isinstance(sources, TrajectoryFile | mdtraj.Trajectory):
        return [sources]
    instead = "a TrajectoryFile(path, topology), an mdtraj.Trajectory, or a list of them"
    require(name, sources, isinstance(sources, Sequence) and len(sources) > 0 and not isinstance(sources, str), instead)
    for one in sources:
        require(f"one of {name}", one, isinstance(one, TrajectoryFile | mdtraj.Trajectory), instead)
    return list(sources)


def _read(source: Source) -> Iterator[mdtraj.Trajectory]:
    """The protein's atoms as they are in the source, some frames at a time."""
    if isinstance(source, mdtraj.Trajectory):
        atoms = _protein(source.topology, "the trajectory")
        step = _frames_at_once(source.topology)
        for start in range(0, source.n_frames, step):
            piece = source[start : start + step]
            yield piece if len(atoms) == piece.n_atoms else piece.atom_slice(atoms)
        return
    for path in (Path(source.path), Path(source.topology)):
        require_file(path)
        require_library(str(path), format_of(path))
    try:
        with quiet_readers():
            topology = mdtraj.load_topology(str(source.topology))
    except Exception as error:  # mdtraj raises what its readers raise
        raise MDGenError(f"{source.topology} cannot be read as a topology: {_reason(error)}") from error
    atoms = _protein(topology, source.topology)
    try:
        # mdtraj checks the number of atoms only where it reads all of them
        with quiet_readers():
            next(mdtraj.iterload(str(source.path), chunk=1, top=topology), None)
    except Exception as error:
        raise _unreadable(source, error) from error
    chunks = mdtraj.iterload(str(source.path), chunk=_frames_at_once(topology), top=topology, atom_indices=atoms)
    n_frames = 0
    while True:
        try:
            with quiet_readers():
                piece = next(chunks, None)
        except Exception as error:
            raise MDGenError(
                f"{source.path} cannot be read to its end, which seems to be cut short or damaged ({error}): give the "
                "whole file, or one of its first frames alone"
            ) from error
        if piece is None:
            missing = missing_frames(Path(source.path), n_frames)
            if missing:
                warnings.warn(f"{source.path}: {missing}: it seems to be cut short", stacklevel=2)
            return
        n_frames += piece.n_frames
        yield piece


def _unreadable(source: TrajectoryFile, error: Exception) -> MDGenError:
    """What keeps the first frame from being read: another number of atoms, or a file that is no trajectory."""
    # mdtraj says "xyz must be shape (Any, 22, 3). You supplied (1, 70, 3)", the topology's number of atoms first.
    shapes = re.findall(r"\((?:Any|\d+), (\d+), 3\)", str(error))
    if len(shapes) == 2:
        return MDGenError(
            f"{source.path} with {source.topology}: the trajectory has {shapes[1]} atoms, the topology {shapes[0]}. "
            "A topology has the trajectory's atoms, all and in order"
        )
    return MDGenError(f"{source.path} cannot be read as a trajectory: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Why mdtraj cannot read a file, in words for its users."""
    if isinstance(error, IndexError):  # a file of text without a frame
        return "it holds no frame or no atom: is it empty, or cut short?"
    if "no loader for" in str(error) or "format is not supported" in str(error):
        return "mdtraj knows no format of this ending: name the file by its format, such as .pdb, .dcd or .xtc"
    return str(error)


def _frames_at_once(topology: mdtraj.Topology) -> int:
    return max(1, min(CHUNK, ATOMS // topology.n_atoms))


def _protein(topology: mdtraj.Topology, name: object) -> np.ndarray:
    atoms = [atom.index for residue in topology.residues if is_protein(residue) for atom in residue.atoms]
    if not atoms:
        raise MDGenError(f"{name} has no protein: only peptides and proteins can be compared")
    return np.array(sorted(atoms))
