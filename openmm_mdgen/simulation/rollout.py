"""Segments chained along one simulation: which comes next, how far it is used up, and how both are stored.

A segment is used frame by frame while the simulation stands where the last frame left it. Any other position or step
count (set, loaded, minimised or integrated since) starts a new segment from there. Nanometres throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openmm_mdgen.errors import CheckpointError, GenerationError
from openmm_mdgen.protocol import GeneratedSegment, Generator, Propagator, as_segment
from openmm_mdgen.seeds import derived_seed, segment_seed
from openmm_mdgen.simulation.engine import Here

_PROPAGATOR = "propagator."  # prefix of the propagator's own arrays
INVALID = "invalid"  # the kind of fault of segments that the generator itself does not vouch for
_NOT_IN_USE = -1
_NONE_YET = -1  # the index before the first segment


class Rollout:
    """The place of a generator along one simulation.

    Parameters
    ----------
    propagator : Propagator
        The generator, bound to the molecule.
    seed : int
        Decides every frame, together with the positions.
    relaxed : (n_atoms, 3) nm
        The structure that the propagator was bound with.
    """

    def __init__(self, propagator: Propagator, seed: int, relaxed: np.ndarray) -> None:
        self.propagator, self.seed = propagator, seed
        self._index = _NONE_YET  # of the latest segment
        self._start = relaxed  # (n_atoms, 3): what the latest segment continues
        self._state_at_start: dict[str, np.ndarray] = {}  # the propagator's
        self._frames = np.zeros((0, 0, 3))  # (n_frames, n_moved, 3)
        self._used = 0  # frames of the segment that are used up
        self._last: Here | None = None  # where the last frame, or the beginning of the segment, left the simulation

    @property
    def moved(self) -> np.ndarray:
        """(n_moved,) atoms that the generator places."""
        return self.propagator.atom_indices

    @property
    def frames_left(self) -> int:
        """Number of frames of the latest segment that are still to be used, if the simulation continues it."""
        return len(self._frames) - self._used

    def continues(self, here: Here) -> bool:
        """Whether the last frame left the simulation here."""
        return self._last is not None and self._last.is_at(here)

    def begin(self, here: Here, n_frames: int | None = None) -> GeneratedSegment:
        """Begin a segment from here.

        Parameters
        ----------
        here : Here
        n_frames : int, optional
            Frames beyond this number are left out; default: none are.

        Returns
        -------
        GeneratedSegment
            The new segment. If it is of no use, `withdraw` it.

        Raises
        ------
        GenerationError
            If the generator fails. The next segment has other noise.
        MDGenError
            If the generator gives something else than frames of its atoms. Nothing has changed then.
        """
        self._state_at_start = {name: np.array(value) for name, value in self.propagator.state().items()}
        self._frames, self._used = self._frames[:0], 0
        try:
            segment = self._segment(here.positions, self._index + 1, n_frames)
        except BaseException as error:
            self.withdraw()
            self._index += isinstance(error, GenerationError)
            raise
        self._index += 1
        self._start, self._frames = here.positions, segment.frames
        self.resume(here)
        return segment

    def withdraw(self) -> None:
        """Undo `begin`, but for its noise: the next segment has its own."""
        self.propagator.restore(self._state_at_start)
        self._frames = self._frames[:0]

    def next_frame(self) -> tuple[np.ndarray, int]:
        """The next frame of the segment in use, (n_atoms, 3), and a seed for its velocities."""
        assert self._last and self.frames_left
        frame = self._last.positions.copy()
        frame[self.moved] = self._frames[self._used]
        return frame, self.seed_of((self._used,))

    def placed(self, here: Here) -> None:
        """Take note that the next frame is in place; `here` has positions as they were read back."""
        self._used += 1
        self.resume(here)

    def resume(self, here: Here) -> None:
        """Go on with the segment from here."""
        self._last = here

    def abandon_segment(self) -> None:
        """Begin a new segment at the next frame, wherever that is."""
        self._last = None

    def seed_of(self, spawn_key: tuple[int, ...]) -> int:
        """Seed of something that belongs to the latest segment; frames' velocities have keys of one number."""
        return derived_seed(self.seed, max(self._index, 0), spawn_key)

    def arrays(self, here: Here) -> dict[str, np.ndarray]:
        """All that a restart needs, given where the simulation stands now."""
        in_use = bool(self.frames_left) and self.continues(here)
        state = self._state_at_start if in_use else self.propagator.state()
        arrays = unbound_arrays(self.seed) | {"segment_index": np.array(self._index)}
        arrays |= {"start": self._start, "cursor": np.array(self._used if in_use else _NOT_IN_USE)}
        arrays |= {"n_frames": np.array(len(self._frames))}
        return arrays | {_PROPAGATOR + name: np.asarray(value) for name, value in state.items()}

    @classmethod
    def restored(cls, generator: Generator, topology: Any, arrays: dict[str, np.ndarray]) -> Rollout | None:
        """The rollout that `arrays` came from, its segment generated anew; `resume` it where the simulation stands.

        Parameters
        ----------
        generator : Generator
        topology : openmm.app.Topology
        arrays : dict of str to array
            As `arrays` gave them.

        Returns
        -------
        Rollout or None
            None if nothing had been generated then.

        Raises
        ------
        CheckpointError
            If the arrays are of another molecule or another kind of generator.
        """
        if "start" not in arrays:
            return None
        start, n_atoms = arrays["start"], topology.getNumAtoms()
        if start.shape != (n_atoms, 3):
            raise CheckpointError(f"the file is of a simulation of {len(start)} atoms, and this one has {n_atoms}")
        rollout = cls(generator.propagator(topology, start), int(arrays["seed"]), start)
        rollout._index = int(arrays["segment_index"])
        state = {name.removeprefix(_PROPAGATOR): x for name, x in arrays.items() if name.startswith(_PROPAGATOR)}
        try:
            rollout.propagator.restore(state)
        except KeyError as error:
            raise CheckpointError("the file was made with another kind of generator: load it with that one") from error
        if arrays["cursor"] != _NOT_IN_USE:
            rollout._state_at_start, rollout._used = state, int(arrays["cursor"])
            n_frames = int(arrays["n_frames"]) if "n_frames" in arrays else None  # older files have whole ones only
            rollout._frames = rollout._segment(start, rollout._index, n_frames).frames
        return rollout

    def _segment(self, positions: np.ndarray, index: int, n_frames: int | None) -> GeneratedSegment:
        answer = self.propagator.segment(positions, segment_seed(self.seed, index))
        segment = as_segment(answer, len(self.moved))
        return GeneratedSegment(segment.frames[:n_frames], segment.is_valid[:n_frames], segment.fault)


def unbound_arrays(seed: int) -> dict[str, np.ndarray]:
    """What a restart needs before anything was generated."""
    return {"seed": np.array(seed), "segment_index": np.array(_NONE_YET)}


def fault_of(segment: GeneratedSegment) -> str:
    """What the generator says is wrong with a segment, and with which frame first; empty if all frames are valid."""
    if segment.is_valid.all():
        return ""
    return f"frame {int(np.flatnonzero(~segment.is_valid)[0])}: {segment.fault or 'the generator calls it invalid'}"
