"""The ways in which folders hold trajectories.

These are read from a folder:

- ``NAME.pdb`` with a trajectory ``NAME.xtc``, or in another format that ``openmm-mdgen simulate`` writes (.dcd, .trr,
  .nc, .h5);
- ``NAME/NAME.pdb`` with ``NAME/NAME.xtc``, as the published tetrapeptides and ``openmm-mdgen simulate`` have them;
- either of the two with ``NAME_prod_R1_fit.xtc``, ``_R2``, ``_R3`` in place of the trajectory, as ATLAS has them;
- prepared arrays ``NAME.npy`` or ``NAME_R1.npy``, ``_R2``, ``_R3``, if need be with a suffix before the dot.

A file ``protocol.json`` beside the trajectories, such as ``{"temperature": 300}``, states the temperature of all of
them in kelvin; ``openmm-mdgen simulate`` writes one beside each of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from openmm_mdgen.data.recordings import Recording, StoredPositions
from openmm_mdgen.data.temperatures import stated_temperature
from openmm_mdgen.data.trajectories import TrajectoryFiles, mirrored_residue, torn_frames
from openmm_mdgen.errors import DataError
from openmm_mdgen.geometry import residues
from openmm_mdgen.trajectory_formats import ENDINGS, SHOWN, trajectory_named

_N_CA = 1.0, 2.0  # Å: bounds of the length of the bond, which tell ångström from nanometre


def read_recording(topology: str | Path, trajectory: str | Path) -> Recording:
    """Read a PDB file with its trajectory.

    Parameters
    ----------
    topology, trajectory : str or Path
        The trajectory is a .xtc, .dcd, .trr, .nc or .h5 file. One that holds no times needs a ``protocol.json`` beside
        it that states its ``frame_interval`` in ps.

    Returns
    -------
    Recording

    Raises
    ------
    MDGenError
        If one cannot be read or used; the message names the file.
    """
    return TrajectoryFiles(Path(topology), Path(trajectory)).recording()


def read_folders(
    folders: Iterable[str | Path],
    *,
    excluded: Collection[str] = frozenset(),
    only: Collection[str] | None = None,
) -> list[Recording]:
    """Read all trajectories of some folders; what was read once is kept for the next time.

    Parameters
    ----------
    folders : iterable of str or Path
    excluded : collection of str
        Sequences to leave out.
    only : collection of str, optional
        Sequences to read; by default all.

    Returns
    -------
    list of Recording
        Replicas, several trajectories of one sequence, are recordings of their own.

    Raises
    ------
    MDGenError
        If there is no trajectory, or one cannot be used. All are looked at before the first is read.
    """
    paths = [Path(folder) for folder in folders]
    found = [TrajectoryFiles(*pair) for path in paths for pair in _pairs(path)]
    chosen = [t for t in found if t.sequence not in excluded and (only is None or t.sequence in only)]
    if not chosen:
        left_out = f", but for {len(found)} of sequences that are left out" if found else ""
        raise DataError(f"no NAME.pdb with {SHOWN} to train on in {', '.join(map(str, paths))}{left_out}")
    for trajectory in chosen:
        trajectory.check()
    return [trajectory.recording() for trajectory in chosen]


def read_arrays(
    folder: str | Path,
    sequences: Mapping[str, str],
    *,
    interval: float,
    suffix: str = "",
    excluded: Collection[str] = frozenset(),
) -> list[Recording]:
    """Read prepared arrays of heavy atoms, ``{name}{suffix}.npy`` or ``{name}_R{1,2,3}{suffix}.npy``.

    Parameters
    ----------
    folder : str or Path
    sequences : mapping of name to sequence
        The arrays to read, such as `read_split` finds in a CSV file.
    interval : float
        Time between frames in ps, which arrays do not hold.
    suffix : str
        Text before the dot of the file's name, such as ``_i100``.
    excluded : collection of str
        Sequences to leave out.

    Returns
    -------
    list of Recording

    Raises
    ------
    DataError
        If an array is missing, not of that kind, or not of its sequence.
    """
    if not interval > 0:
        raise DataError(f"interval {interval}: the picoseconds between the arrays' frames")
    folder = Path(folder)
    wanted = {name: sequence for name, sequence in sequences.items() if sequence not in excluded}
    paths = {name: _array_paths(folder, name, suffix) for name in wanted}
    missing = [name for name, found in paths.items() if not found]
    if missing or not wanted:
        raise DataError(
            f"{folder} has no array {{name}}{suffix}.npy of {_few(missing) or 'any sequence'}: copy them there, or "
            "take them off the list"
        )
    return [_array(path, wanted[name], interval) for name, found in paths.items() for path in found]


def _array_paths(folder: Path, name: str, suffix: str) -> list[Path]:
    names = [name, *(f"{name}_R{k}" for k in (1, 2, 3))]
    return [path for path in (folder / f"{n}{suffix}.npy" for n in names) if path.exists()]


def _array(path: Path, sequence: str, interval: float) -> Recording:
    positions = StoredPositions.open(path)
    if positions.shape[1] != len(sequence):
        raise DataError(f"{path} has {positions.shape[1]} residues, but its sequence is {sequence} ({len(sequence)})")
    try:
        filled = residues.ATOM14_MASK[residues.aatype_from_sequence(sequence)] > 0
    except ValueError as error:
        raise DataError(f"{path}: sequence {error}") from error
    for frame in (0, positions.shape[0] - 1):  # the others are looked at when they are read
        atoms = positions[frame : frame + 1].astype(np.float32)
        if not np.isfinite(atoms).all():
            raise DataError(f"{path}: frame {frame} (from 0) has coordinates that are not finite; make it again")
        differing = ((atoms[0] != 0).any(-1) != filled).any(-1)
        if differing.any():
            k = int(differing.argmax())
            raise DataError(f"{path}: the atoms of residue {k + 1} are not those of {sequence[k]} in {sequence}")
        bonds = np.linalg.norm(atoms[0, :, 1] - atoms[0, :, 0], axis=-1)
        if not ((bonds > _N_CA[0]) & (bonds < _N_CA[1])).all():
            raise DataError(
                f"{path}: bonds N-CA of {bonds.min():.2f} to {bonds.max():.2f}: arrays have to be in ångström"
            )
        if torn_frames(atoms, sequence).any():
            raise DataError(f"{path}: in frame {frame} (from 0) the chain has a gap or is split across a periodic box")
        if mirrored := mirrored_residue(atoms, sequence):
            raise DataError(f"{path}: in frame {frame} (from 0) {mirrored[1]}")
    return Recording(path.stem, sequence, positions, interval, temperature=stated_temperature([path.parent]))


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Pair PDB files and trajectories that belong together; one without the other is an error."""
    if not folder.is_dir():
        raise DataError(f"no NAME.pdb with {SHOWN} to train on: {folder} is no folder")
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    names = [(folder, stem) for stem in _stems(folder)]
    names += [(path, path.name) for path in inner if path.name in _stems(path)]
    for place, stem in names:
        topology, single = place / f"{stem}.pdb", trajectory_named(place, stem)
        replicas = [path for name in _replicas(stem) if (path := trajectory_named(place, name))]
        trajectories = [single] if single else replicas
        if not topology.exists() or not trajectories:
            there, other = (topology, SHOWN) if topology.exists() else (single, "NAME.pdb")
            raise DataError(
                f"{there} has no {other} beside it: finish its simulation, copy the file there, or move this one away"
            )
        for trajectory in trajectories:
            yield topology, trajectory


def _stems(folder: Path) -> list[str]:
    """Names of the systems that have a file in a folder."""
    files = [p for p in folder.iterdir() if p.suffix in (".pdb", *ENDINGS) and not p.name.startswith(".")]
    stems = {path.stem for path in files if path.suffix == ".pdb"}
    replicas = {name for stem in stems for name in _replicas(stem)}
    return sorted(stems | {path.stem for path in files} - replicas)


def _replicas(stem: str) -> list[str]:
    """Names of a protein's trajectories in ATLAS."""
    return [f"{stem}_prod_R{k}_fit" for k in (1, 2, 3)]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
