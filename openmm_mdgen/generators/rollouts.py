"""Trajectories of any generator, segment after segment, in bounded memory.

A *segment* is what a propagator draws at once; a *rollout* is a chain of segments, each of which continues the last
frame of the one before. Nothing here asks for more than `openmm_mdgen.protocol` has. Axes: ``R`` replicas, ``N`` atoms
of the topology, ``n`` atoms that the generator moves. Nanometre.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import mdtraj
import numpy as np

from openmm_mdgen.arguments import valid_count
from openmm_mdgen.errors import GenerationError
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, one_structure
from openmm_mdgen.protocol import MOST_INVALID, BatchPropagator, GeneratedSegment, Generator, draw
from openmm_mdgen.seeds import segment_seed, valid_seed

if TYPE_CHECKING:
    from openmm.app import Topology


_PROPAGATOR = "propagator."  # prefix of the arrays of propagators in a stream's state


class Stream(Iterator[np.ndarray]):
    """New frames of several replicas, chunk by chunk; `stream` makes one.

    A segment that holds frames which its generator calls invalid is drawn anew, with the noise of the next segment.

    Attributes
    ----------
    atom_indices : (n,) int
        The atoms of the topology that the frames hold.
    redraws : int
        How many segments were drawn anew so far.
    n_done : int
        How many frames of each replica were handed out so far.
    seed : int
        As given, or the one that was drawn.
    """

    def __init__(
        self,
        generator: Generator,
        topology: Topology,
        positions: np.ndarray,
        n_frames: int,
        replicas: int,
        seed: int | None,
    ) -> None:
        replicas, n_frames = valid_count("replicas", replicas), valid_count("n_frames", n_frames)
        topology, seed = as_topology(topology), valid_seed(seed)
        generator.check(topology)
        if memory_of := getattr(generator, "memory_of", None):  # raises if there is too little
            memory_of(topology, replicas)
        positions = one_structure("positions", BondedAtoms(topology), positions, box_of(topology))
        self._propagator = generator.propagator(topology, positions)
        self.atom_indices = self._propagator.atom_indices
        self.redraws = 0
        self._continues = generator.frame_interval is not None  # independent samples all have the same start
        self.seed, self._n_frames, self.n_done = seed, n_frames, 0
        self._index = [-1] * replicas  # number of the latest segment
        self._current = np.repeat(positions[None], replicas, axis=0)  # (R, N, 3)
        self._drawn = [np.zeros((0, len(self.atom_indices), 3)) for _ in range(replicas)]  # not handed out yet
        # A propagator of one replica at a time may change with each segment: every replica has a state of its own.
        self._states = None if isinstance(self._propagator, BatchPropagator) else [self._state()] * replicas

    def __next__(self) -> np.ndarray:
        """(R, F, n, 3): as many frames as all replicas have, at most those of a segment."""
        left = self._n_frames - self.n_done
        if left <= 0:
            raise StopIteration
        if empty := [replica for replica, frames in enumerate(self._drawn) if not len(frames)]:
            self._draw(empty)
        n = min(left, *(len(frames) for frames in self._drawn))
        chunk = np.stack([frames[:n] for frames in self._drawn])
        self._drawn = [frames[n:] for frames in self._drawn]
        self.n_done += n
        return chunk

    def state(self) -> dict[str, np.ndarray]:
        """All that another stream, made with the same arguments or more frames, needs to go on from here."""
        numbers = {"n_done": self.n_done, "redraws": self.redraws, "index": self._index}
        arrays = {name: np.array(value) for name, value in numbers.items()} | {"current": self._current}
        for replica, frames in enumerate(self._drawn):
            arrays[f"drawn.{replica}"] = frames
        for replica, state in enumerate([self._state()] if self._states is None else self._states):
            arrays |= {f"{_PROPAGATOR}{replica}.{name}": value for name, value in state.items()}
        return arrays

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` returned."""
        self.n_done, self.redraws = int(state["n_done"]), int(state["redraws"])
        self._index, self._current = state["index"].tolist(), state["current"].copy()
        self._drawn = [state[f"drawn.{replica}"] for replica in range(len(self._index))]
        states: list[dict[str, np.ndarray]] = [{} for _ in self._index]
        for name, value in state.items():
            if name.startswith(_PROPAGATOR):
                replica, _, key = name.removeprefix(_PROPAGATOR).partition(".")
                states[int(replica)][key] = value
        if self._states is None:
            self._propagator.restore(states[0])
        else:
            self._states = states

    def _draw(self, replicas: list[int]) -> None:
        """A new segment for each of these replicas."""
        for attempt in range(1, MOST_INVALID + 1):
            invalid = []
            for replica, segment in zip(replicas, self._segments(replicas), strict=True):
                if not segment.is_valid.all():
                    invalid.append((replica, segment))
                    continue
                if not np.isfinite(segment.frames).all():
                    raise GenerationError(
                        "the generator gave positions that are not finite; nothing of them was used: "
                        "start from a relaxed structure, or try another seed or other weights"
                    )
                self._drawn[replica] = segment.frames
                if self._continues:
                    self._current[replica, self.atom_indices] = segment.frames[-1]
            if not invalid:
                return
            if attempt == MOST_INVALID:
                raise _unusable(invalid[0][1])
            replicas = [replica for replica, _ in invalid]
            self.redraws += len(replicas)

    def _segments(self, replicas: list[int]) -> list[GeneratedSegment]:
        for replica in replicas:
            self._index[replica] += 1
        seeds = [segment_seed(self.seed, self._index[replica], replica) for replica in replicas]
        if self._states is None:
            return draw(self._propagator, self._current[replicas], seeds)
        segments = []
        for replica, seed in zip(replicas, seeds, strict=True):
            self._propagator.restore(self._states[replica])
            segments += draw(self._propagator, self._current[[replica]], [seed])
            if segments[-1].is_valid.all():
                self._states[replica] = self._state()
        return segments

    def _state(self) -> dict[str, np.ndarray]:
        return {name: np.array(value) for name, value in self._propagator.state().items()}


def stream(
    generator: Generator,
    topology: Topology,
    positions: np.ndarray,
    n_frames: int,
    *,
    replicas: int = 1,
    seed: int | None = None,
) -> Stream:
    """Generate any number of frames in bounded memory.

    Replicas are drawn at once where the generator's propagator has the optional method `segments`, else one by one.

    Parameters
    ----------
    generator : Generator
    topology : openmm.app.Topology or mdtraj.Topology
    positions : quantity or array, (N, 3)
        A relaxed structure; every replica starts from it. Plain numbers are in nm.
    n_frames : int
        New frames of each replica; the start is not among them.
    replicas : int
        Independent trajectories. The first is the run that a simulation of this seed makes.
    seed : int, optional
        One is drawn where it is left out: see the stream's attribute `seed`.

    Returns
    -------
    Stream
        Iterator of (R, at most a segment's frames, n, 3) nm. It raises `GenerationError` after ten segments in a row
        that hold invalid frames, or where positions are not finite.

    Raises
    ------
    UnsupportedTopologyError
        If the generator cannot take this molecule.
    StateError
        If it cannot start from these positions.
    MDGenError
        If a number of frames or replicas is no whole number above zero, or the seed none that can be used, or positions
        are in another unit.
    """
    return Stream(generator, topology, positions, n_frames, replicas, seed)


def _unusable(segment: GeneratedSegment) -> GenerationError:
    n = int((~segment.is_valid).sum())
    return GenerationError(
        f"{MOST_INVALID} segments in a row had frames that their generator calls invalid, {n} of "
        f"{len(segment.is_valid)} in the last one ({segment.fault or 'it gives no reason'}): "
        "start from a relaxed structure, or try another seed or another generator"
    )


def trajectories_of(
    topology: Topology, atom_indices: np.ndarray, xyz: np.ndarray, time: np.ndarray
) -> list[mdtraj.Trajectory]:
    """Trajectories of some atoms of a topology, each with a topology of its own, from (R, T, n, 3) nm."""
    atoms = mdtraj.Topology.from_openmm(topology).subset(atom_indices)
    return [mdtraj.Trajectory(frames, atoms.copy(), time=time) for frames in xyz]
