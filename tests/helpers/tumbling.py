"""A second implementation of the generator protocol: any molecule, tumbling and drifting as a rigid body."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from openmm_mdgen.errors import UnsupportedTopologyError


class TumblingPropagator:
    """Rigid moves of the relaxed structure, about where the molecule is; the drift grows from segment to segment."""

    def __init__(self, generator, structure):
        self.generator = generator
        self.atom_indices = np.arange(generator.n_moved or len(structure))
        self.frame_interval, self.temperature = generator.frame_interval, generator.temperature
        self.structure = structure[self.atom_indices]
        self.n_segments = 0
        self.calls = []

    def segment(self, positions, seed):
        self.n_segments += 1
        self.calls.append((positions.copy(), seed))
        random = np.random.default_rng(seed)
        n = self.generator.n_frames
        drift = 0.01 * self.n_segments * random.normal(size=(n, 1, 3)).cumsum(axis=0)
        turns = Rotation.random(n, random).as_matrix()
        body = self.structure - self.structure.mean(axis=0)
        frames = body @ turns.transpose(0, 2, 1) + positions[self.atom_indices].mean(axis=0) + drift
        return self.generator.spoil(frames)

    def state(self):
        return {"structure": self.structure, "n_segments": np.array(self.n_segments)}

    def restore(self, state):
        self.structure, self.n_segments = state["structure"], int(state["n_segments"])


@dataclass
class TumblingGenerator:
    frame_interval: float = 0.02  # ps
    temperature: float = 300.0  # K
    n_frames: int = 4  # of a segment
    n_moved: int | None = None  # the first atoms; default all
    refuses: bool = False
    spoil: Callable[[np.ndarray], np.ndarray] = lambda frames: frames  # what becomes of a segment
    propagators: list = field(default_factory=list)  # those it has made

    def check(self, topology):
        if self.refuses:
            raise UnsupportedTopologyError("chain A, residue 1: not a molecule for me")

    def propagator(self, topology, positions):
        self.propagators.append(TumblingPropagator(self, positions))
        return self.propagators[-1]


class Telling(TumblingGenerator):
    """A generator that says which atoms it moves, as those of this package do."""

    def moved_atoms(self, topology):
        return np.arange(self.n_moved or topology.getNumAtoms())
