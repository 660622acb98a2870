"""Recordings from PDB files with trajectories in any format that ``openmm-mdgen simulate`` writes.

XTC is compressed and can only be read from its beginning; the others hold hydrogens and water too. So heavy atoms are
kept as an array that can be mapped into memory: in the folder ``.openmm_mdgen`` beside the trajectory, in the user's
cache where that folder is read-only, or in the folder that OPENMM_MDGEN_CACHE names. The array is made once, and again
when a source has changed. Lengths are in nanometre in files and in ångström in arrays, times in picosecond.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
from platformdirs import user_cache_path

from openmm_mdgen.data.recordings import CAP_SLOTS, Recording, StoredPositions
from openmm_mdgen.data.temperatures import stated_temperature
from openmm_mdgen.errors import DataError, MDGenError
from openmm_mdgen.files import PROTOCOL_FILE, replacing, write_json
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.bonds import Stereocentres
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.times import RECORDED
from openmm_mdgen.times import even_interval as interval_of_even
from openmm_mdgen.trajectory_formats import NAMES, TrajectoryReader, format_of, missing_frames

_FORMAT = 1  # of kept arrays
_CHUNK = 1000  # frames
_LONGEST_PEPTIDE_BOND, _LONGEST_REACH = 2.5, 12.0  # Å: C to N, and from CA to the end of any side chain


class TrajectoryFiles:
    """One trajectory and its topology on disk.

    Parameters
    ----------
    topology : path
        PDB file with the trajectory's atoms in their order. Hydrogens, water and ions are left out.
    trajectory : path
        File in one of `trajectory_formats.FORMATS`. A ``protocol.json`` beside it, as ``openmm-mdgen simulate`` writes
        it, has to agree, states the temperature, and the ``frame_interval`` in ps where the file holds no times; of
        ``NAME/NAME.xtc``, one beside the folder ``NAME`` may state the temperature too.
    """

    def __init__(self, topology: Path, trajectory: Path) -> None:
        self.topology, self.trajectory = topology, trajectory
        self.protocol = trajectory.parent / PROTOCOL_FILE
        named = trajectory.stem if trajectory.suffix == ".xtc" else trajectory.name  # as earlier versions named it
        self.array = _cache_folder(trajectory.parent) / f"{named}.npy"

    @cached_property
    def sequence(self) -> str:
        """The topology's sequence in one-letter codes.

        Raises
        ------
        MDGenError
            If a file is missing, or the model cannot take the topology.
        """
        kept = self._kept()
        return str(kept["sequence"]) if kept else self._chain[0].sequence

    def check(self) -> None:
        """Look at both ends of the trajectory, which is quick even for long ones.

        Raises
        ------
        MDGenError
            If the file is cut short, belongs to another topology, or disagrees with ``protocol.json``.
        """
        if self._kept():
            return
        n_atoms = self._chain[2]
        try:
            with TrajectoryReader(self.trajectory) as file:
                n_frames, untimed = len(file), file.untimed
                xyz, times = file.read(1)
                file.seek(n_frames - 1)
                _, last = file.read(2)  # one more than there is: what follows the last frame must not be half of one
            missing = missing_frames(self.trajectory, n_frames)
        except MDGenError:
            raise
        except Exception as error:  # mdtraj raises what its readers raise
            raise self._cut_short(str(error)) from error
        if missing:
            raise self._cut_short(missing)
        if xyz.shape[1] != n_atoms:
            raise DataError(
                f"{self.trajectory} has {xyz.shape[1]} atoms, but {self.topology} has {n_atoms}: write both from one "
                "topology"
            )
        if n_frames < 2:
            raise DataError(f"{self.trajectory} has one frame: a trajectory has more")
        if times is None or last is None:
            self._check_protocol(n_frames, self._stated_interval(untimed))
        else:
            self._check_protocol(n_frames, float(last[0] - times[0]) / (n_frames - 1))
        self._resolved(xyz[0, self._chain[1]])

    def recording(self) -> Recording:
        """Open the trajectory, after its heavy atoms have been kept as an array if they are not yet.

        Returns
        -------
        Recording

        Raises
        ------
        MDGenError
            If `check` fails, frames are damaged, not finite, torn or unevenly spaced, or the disk is full.
        """
        if not self._kept():
            self.check()
            self._keep()
        kept = self._kept()
        if kept is None:
            raise DataError(f"{self.trajectory} changed while it was read: wait until it is written")
        positions = StoredPositions.open(self.array)
        caps = kept.get("n_cap"), kept.get("c_cap")
        sequence, interval = str(kept["sequence"]), float(kept["interval"])
        return Recording(self.trajectory.stem, sequence, positions, interval, *caps, temperature=self._temperature())

    def _temperature(self) -> float | None:
        folder = self.trajectory.parent
        is_own = folder.name == self.topology.stem
        return stated_temperature([folder, folder.parent] if is_own else [folder])

    @cached_property
    def _chain(self) -> tuple[ProteinChain, np.ndarray, int]:
        """The chain of heavy atoms, their indices, and the number of all atoms."""
        try:
            topology = mdtraj.load_topology(str(self.topology))
            # Not hydrogens: files name and number them in many ways, and not all readers bond them.
            heavy = np.array([a.index for a in topology.atoms if a.element is None or a.element.symbol != "H"])
            return ProteinChain.from_openmm(topology.subset(heavy).to_openmm()), heavy, topology.n_atoms
        except Exception as error:  # mdtraj raises what its readers raise
            raise DataError(f"{self.topology}: {error}") from error

    def _resolved(self, first: np.ndarray) -> ProteinChain:
        """The chain as the heavy atoms of the first frame have it, of L amino acids alone."""
        try:
            return self._chain[0].resolved(first)
        except MDGenError as error:
            raise DataError(f"{self.trajectory}, first frame, with {self.topology}: {error}") from error

    def _stated(self) -> dict[str, Any]:
        """What the file ``protocol.json`` says; nothing where there is none."""
        if not self.protocol.exists():
            return {}
        try:
            return json.loads(self.protocol.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{self.protocol} is not JSON: {error}. Remove it, or make it again.") from error

    def _stated_interval(self, untimed: str) -> float:
        """The time between frames that ``protocol.json`` states, for a file that holds none."""
        stated = self._stated().get("frame_interval")
        if not isinstance(stated, int | float) or not stated > 0:
            raise DataError(
                f"{self.trajectory}: {untimed}. State the picoseconds between its frames in {self.protocol}, such as "
                '{"frame_interval": 10}'
            )
        return float(stated)

    def _check_protocol(self, n_frames: int, interval: float) -> None:
        path, protocol = self.protocol, self._stated()
        if not math.isclose(protocol.get("frame_interval", interval), interval, rel_tol=RECORDED):
            raise DataError(
                f"{self.trajectory} has a frame each {interval:g} ps, but {path} says {protocol['frame_interval']:g} "
                "ps: correct what is wrong"
            )
        if protocol.get("n_frames", n_frames) != n_frames:
            raise DataError(
                f"{self.trajectory} has {n_frames} frames, but {path} says {protocol['n_frames']}: copy it again"
            )

    def _sources(self) -> dict[str, Any]:
        try:
            protocol = [self.protocol] if self.protocol.exists() else []
            stats = [path.stat() for path in (self.topology, self.trajectory, *protocol)]
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
        return {"format": _FORMAT, "sources": [[s.st_size, s.st_mtime_ns] for s in stats]}

    def _kept(self) -> dict[str, Any] | None:
        """What was written about the array, if it is there and was made from the present files."""
        sources = self._sources()
        try:
            about = json.loads(self.array.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        present = self.array.exists() and all(about.get(key) == value for key, value in sources.items())
        return about if present else None

    def _keep(self) -> None:
        sources, heavy = self._sources(), self._chain[1]
        with TrajectoryReader(self.trajectory) as file:
            first = file.read(1, heavy)[0][0]
            n_frames = len(file)
        chain = self._resolved(first)
        try:
            self.array.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.array) as temporary:
                interval = self._convert(chain, heavy, temporary, n_frames)
            about = {"sequence": chain.sequence, "interval": interval, "n_cap": chain.n_cap, "c_cap": chain.c_cap}
            write_json(self.array.with_suffix(".json"), sources | about)
        except OSError as error:
            size = n_frames * len(chain.sequence) * 14 * 3 * 4 / 1e6
            raise DataError(
                f"{self.array} cannot be written: {error.strerror}. It takes {size:.0f} MB: make room, or set "
                "OPENMM_MDGEN_CACHE to a folder that has it"
            ) from error

    def _convert(self, chain: ProteinChain, heavy: np.ndarray, target: Path, n_frames: int) -> float:
        """Write the array chunk by chunk and return the interval between its frames in ps.

        The file is not mapped while it is written: on a full disk a mapped file would end the process.
        """
        times: list[np.ndarray] = []
        done = 0
        rows = len(chain.sequence) + (chain.n_cap is not None)
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_frames, rows, 14, 3)}
        with TrajectoryReader(self.trajectory) as file, open(target, "wb") as out:
            np.lib.format.write_array_header_1_0(out, header)
            while done < n_frames:
                try:
                    xyz, read = file.read(_CHUNK, heavy)
                except Exception as error:  # mdtraj raises what its readers raise
                    raise self._cut_short(str(error)) from error
                if len(xyz) == 0:
                    raise DataError(f"{self.trajectory} became shorter while it was read: wait until it is written")
                out.write(self._heavy_atoms(xyz.astype(np.float64), chain, done).tobytes())
                times += [] if read is None else [read]
                done += len(xyz)
            return (
                even_interval(np.concatenate(times), self.trajectory) if times else self._stated_interval(file.untimed)
            )

    def _heavy_atoms(self, xyz: np.ndarray, chain: ProteinChain, first: int) -> np.ndarray:
        """Heavy atoms (F, L, 14, 3) in ångström about their centre, of positions (F, N, 3) in nm.

        `first` is the number of the first frame, for messages.

        With an N-terminal cap a row stands before those of the residues; see `Recording.positions`.
        """
        bad = ~np.isfinite(xyz).all(axis=(1, 2))
        if bad.any():
            raise DataError(
                f"{self.trajectory}: frame {first + int(bad.argmax())} (from 0) has coordinates that are not finite. "
                "The simulation blew up, or the file is damaged: make it again."
            )
        xyz = xyz - xyz[:, chain.atom_indices].mean(axis=1, keepdims=True)
        atoms = chain.atom14(xyz).float().numpy()
        torn, mirrored = torn_frames(atoms, chain.sequence), mirrored_residue(atoms, chain.sequence)
        before = chain.before(xyz)
        if before is not None:
            row = np.zeros_like(atoms[:, :1])
            row[:, 0, CAP_SLOTS] = before.numpy()
            atoms = np.concatenate([row, atoms], axis=1)
            torn |= np.linalg.norm(atoms[:, 1, 0] - row[:, 0, 2], axis=-1) > _LONGEST_PEPTIDE_BOND
        if torn.any():
            raise DataError(
                f"{self.trajectory}: in frame {first + int(torn.argmax())} (from 0) the molecule is torn. If it is "
                "split across the periodic box, make it whole first (e.g. mdtraj's image_molecules)."
            )
        if mirrored is not None:
            raise DataError(f"{self.trajectory}: in frame {first + mirrored[0]} (from 0) {mirrored[1]}")
        return atoms

    def _cut_short(self, why: str) -> DataError:
        """An error that says how many frames can be read and how to keep them."""
        n, rest, ends = 0, "", []
        try:
            with TrajectoryReader(self.trajectory) as file:
                ends = file.offsets
                while len(file.read(1)[0]):
                    n += 1
        except Exception:  # mdtraj raises what its readers raise; what was whole has been counted
            pass
        if 0 < n < len(ends):
            rest = f", or keep what is whole: truncate -s {ends[n]} {self.trajectory}"
        return DataError(
            f"{self.trajectory} is no {NAMES[format_of(self.trajectory)]} file, or cut short or damaged after {n} "
            f"frames ({why}). Copy or make it again{rest}"
        )


def torn_frames(positions: np.ndarray, sequence: str) -> np.ndarray:
    """Find frames in which a peptide bond or a residue is longer than any can be.

    Parameters
    ----------
    positions : (F, L, 14, 3) array, ångström
    sequence : str
        L one-letter codes.

    Returns
    -------
    (F,) bool
    """
    n, ca, c = (positions[:, :, k].astype(np.float32) for k in range(3))
    bonds = np.linalg.norm(n[:, 1:] - c[:, :-1], axis=-1)
    filled = residues.ATOM14_MASK[residues.aatype_from_sequence(sequence)] > 0
    reach = np.linalg.norm(positions - ca[:, :, None], axis=-1) * filled
    return (bonds > _LONGEST_PEPTIDE_BOND).any(1) | (reach > _LONGEST_REACH).any((1, 2))


def mirrored_residue(positions: np.ndarray, sequence: str) -> tuple[int, str] | None:
    """Find the first frame with a residue that is no L amino acid, or whose CB is mirrored.

    Parameters
    ----------
    positions : (F, L, 14, 3) array, ångström
    sequence : str
        L one-letter codes.

    Returns
    -------
    tuple of int and str, or None
        The frame's number, and what is wrong with it, in words.
    """
    names = [residues.ONE_TO_THREE[letter] for letter in sequence]
    places = (
        {atom: residues.N_SLOTS * i + k for k, atom in enumerate(residues.ATOM14_NAMES[name]) if atom}
        for i, name in enumerate(names)
    )
    centres, points = Stereocentres.of(zip(names, places, strict=True)), positions.reshape(len(positions), -1, 3)
    found = centres.mirrored(points).any(axis=1)
    if not found.any():
        return None
    frame = int(found.argmax())
    residue, what = next(iter(centres.epimers(points[frame]).items()))
    return frame, (
        f"{names[residue]} {residue + 1} of {sequence} is {what}. Only L amino acids are learnt: leave this trajectory "
        "out, or make it again"
    )


def even_interval(times: np.ndarray, path: Path) -> float:
    """The interval of evenly spaced times, as `times.even_interval` finds it.

    Parameters
    ----------
    times : (F,) array, ps
    path : Path
        File that the message names.

    Returns
    -------
    float
        In ps.

    Raises
    ------
    DataError
        If they are not evenly spaced. The message names the pair of frames that are farthest from the usual interval.
    """
    interval = interval_of_even(times)
    if interval is None:
        steps = np.diff(times.astype(np.float64))
        usual = float(np.median(steps))
        k = int(np.abs(steps - usual).argmax())
        raise DataError(
            f"{path}: its frames are not evenly spaced in time: {steps[k]:g} ps between frames {k} and {k + 1} (from "
            f"0), where {usual:g} ps is usual. Write what is missing, or drop what was written twice."
        )
    return interval


def _cache_folder(folder: Path) -> Path:
    chosen = os.environ.get("OPENMM_MDGEN_CACHE")
    # The superuser may write anywhere; where nobody was meant to, it does not.
    if not chosen and os.access(folder, os.W_OK) and folder.stat().st_mode & 0o222:
        return folder / ".openmm_mdgen"
    parent = Path(chosen) if chosen else user_cache_path("openmm_mdgen", appauthor=False)
    return parent / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
