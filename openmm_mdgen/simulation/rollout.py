"""Segments chained along one simulation: which comes next, how far it is used up, and how both are stored.

A segment is used frame by frame while the simulation stands where the last frame left it. Any other position or step
count (set, loaded, minimised or integrated since) starts a new segment from there. Nanometres throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openmm_mdgen.errors import CheckpointError, GenerationError, MDGenError
from openmm_mdgen.protocol import Generator, Propagator
from openmm_mdgen.seeds import segment_seed

_PROPAGATOR = "propagator."  # prefix of the propagator's own arrays
_NOT_IN_USE = -1


class Rollout:
    """A generator's place along one simulation.

    Parameters
    ----------
    generator : Generator
    topology : openmm.app.Topology
    seed : int
        Decides every frame, together with the positions.
    """

    propagator: Propagator  # from `bind` on

    def __init__(self, generator: Generator, topology: Any, seed: int) -> None:
        self.generator, self.topology, self.seed = generator, topology, seed
        self.is_bound = False
        self._segment_index = -1
        self._start = np.zeros((0, 3))  # (n_atoms, 3): what the segment continues
        self._state_at_start: dict[str, np.ndarray] = {}  # the propagator's
        self._frames = np.zeros((0, 0, 3))  # (n_frames, n_moved, 3)
        self._cursor = 0  # frames of the segment that are used up
        self._landed: tuple[int, np.ndarray] | None = None  # step count and positions after the last frame

    def bind(self, relaxed: np.ndarray) -> None:
        """Fit the generator to the molecule, (n_atoms, 3) of a relaxed structure."""
        self.propagator = self.generator.propagator(self.topology, relaxed)
        self._start, self.is_bound = relaxed, True

    def continues(self, step: int, positions: np.ndarray) -> bool:
        """Whether the last frame left the simulation here."""
        return self._landed is not None and self._landed[0] == step and np.array_equal(self._landed[1], positions)

    def next_frame(self, step: int, positions: np.ndarray) -> tuple[np.ndarray, int]:
        """The frame that follows `positions`, (n_atoms, 3), and a seed for its velocities.

        Raises
        ------
        MDGenError
            If the generator gives values that are not finite, or not frames of its atoms. Nothing has changed then.
        """
        if not self._in_use(step, positions):
            self._begin_segment(positions)
        frame = positions.copy()
        frame[self.propagator.atom_indices] = self._frames[self._cursor]
        velocity_seed = np.random.SeedSequence((self.seed, self._segment_index), spawn_key=(self._cursor,))
        return frame, int(velocity_seed.generate_state(1)[0] >> 1)

    def begin(self, step: int, positions: np.ndarray, n_frames: int) -> np.ndarray:
        """Begin a segment of at most `n_frames` from here, and give its frames (n_frames, n_moved, 3) to be judged."""
        self._state_at_start = {name: np.array(value) for name, value in self.propagator.state().items()}
        self._segment_index += 1
        self._frames = self._frames[:0]
        self._start, self._cursor = positions, 0
        self._frames = self._segment(positions, self._segment_index)[:n_frames]
        self.resume(step, positions)
        return self._frames

    def withdraw(self) -> None:
        """Undo `begin`, but for its noise: the next segment has its own."""
        self.propagator.restore(self._state_at_start)
        self._frames = self._frames[:0]

    def frames_left(self, step: int, positions: np.ndarray) -> int:
        """Frames of the segment in use, if there is one here."""
        return len(self._frames) - self._cursor if self._in_use(step, positions) else 0

    @property
    def segment_frames(self) -> int:
        """Frames of the latest segment, used up or not."""
        return len(self._frames)

    def seed_of(self, spawn_key: tuple[int, ...]) -> int:
        """For what belongs to the latest segment."""
        index = max(self._segment_index, 0)
        return int(np.random.SeedSequence((self.seed, index), spawn_key=spawn_key).generate_state(1)[0] >> 1)

    def land(self, step: int, positions: np.ndarray) -> None:
        """The frame is in place: `positions` are those read back, which may be rounded."""
        self._cursor += 1
        self.resume(step, positions)

    def resume(self, step: int, positions: np.ndarray) -> None:
        """Go on with the segment from here."""
        self._landed = step, positions

    def abandon_segment(self) -> None:
        """Begin a new segment at the next frame, wherever that is."""
        self._landed = None

    def arrays(self, step: int, positions: np.ndarray) -> dict[str, np.ndarray]:
        """All that a restart needs, given where the simulation stands now."""
        arrays = {"seed": np.array(self.seed), "segment_index": np.array(self._segment_index)}
        if self.is_bound:
            in_use = self._in_use(step, positions)
            state = self._state_at_start if in_use else self.propagator.state()
            arrays |= {"start": self._start, "cursor": np.array(self._cursor if in_use else _NOT_IN_USE)}
            arrays |= {"n_frames": np.array(len(self._frames))}
            arrays |= {_PROPAGATOR + name: np.asarray(value) for name, value in state.items()}
        return arrays

    def restored(self, arrays: dict[str, np.ndarray]) -> Rollout:
        """The rollout that `arrays` came from, its segment generated anew; `resume` it where the simulation stands.

        Raises
        ------
        CheckpointError
            If they are of another molecule or another kind of generator.
        """
        rollout = Rollout(self.generator, self.topology, int(arrays["seed"]))
        rollout._segment_index = int(arrays["segment_index"])
        if "start" not in arrays:
            return rollout
        start, n_atoms = arrays["start"], self.topology.getNumAtoms()
        if start.shape != (n_atoms, 3):
            raise CheckpointError(f"the file is of a simulation of {len(start)} atoms, and this one has {n_atoms}")
        rollout.bind(start)
        state = {name.removeprefix(_PROPAGATOR): x for name, x in arrays.items() if name.startswith(_PROPAGATOR)}
        try:
            rollout.propagator.restore(state)
        except KeyError as error:
            raise CheckpointError("the file was made with another kind of generator: load it with that one") from error
        if arrays["cursor"] != _NOT_IN_USE:
            rollout._state_at_start, rollout._cursor = state, int(arrays["cursor"])
            whole = rollout._segment(start, rollout._segment_index)
            rollout._frames = whole[: int(arrays.get("n_frames", len(whole)))]  # older files have whole ones only
        return rollout

    def _in_use(self, step: int, positions: np.ndarray) -> bool:
        return self._cursor < len(self._frames) and self.continues(step, positions)

    def _begin_segment(self, positions: np.ndarray) -> None:
        state = {name: np.array(value) for name, value in self.propagator.state().items()}
        self._frames = _finite(self._segment(positions, self._segment_index + 1))
        self._segment_index += 1
        self._start, self._state_at_start, self._cursor = positions, state, 0

    def _segment(self, positions: np.ndarray, index: int) -> np.ndarray:
        """All frames of a segment, (n_frames, n_moved, 3)."""
        frames = np.asarray(self.propagator.segment(positions, segment_seed(self.seed, index)), dtype=np.float64)
        n_moved = len(self.propagator.atom_indices)
        if frames.ndim != 3 or len(frames) == 0 or frames.shape[1:] != (n_moved, 3):
            raise MDGenError(f"the generator gave an array of shape {frames.shape}, not (frames, {n_moved}, 3)")
        return frames


def _finite(frames: np.ndarray) -> np.ndarray:
    if not np.isfinite(frames).all():
        raise GenerationError(
            "the generator gave positions that are not finite; nothing of them was used: "
            "start from a relaxed structure, or try another seed or other weights"
        )
    return frames
