"""A small generator of any molecule that keeps the protocol: atoms that wander, with a state of their own."""

from dataclasses import dataclass

import numpy as np

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.protocol import GeneratedSegment


class WanderingPropagator:
    """Each segment drifts along a direction that the one before has turned."""

    def __init__(self, generator, positions):
        self.generator = generator
        self.atom_indices = np.arange(len(positions))[:: generator.every]
        self.frame_interval, self.temperature = generator.frame_interval, generator.temperature
        self.direction = np.array([0.0, 0.0, 0.01])

    def segment(self, positions, seed):
        random = np.random.default_rng(seed)
        n = self.generator.n_frames
        self.direction = 0.5 * self.direction + 0.01 * random.normal(size=3)
        steps = random.normal(scale=0.001, size=(n, len(self.atom_indices), 3)).cumsum(axis=0)
        frames = positions[self.atom_indices] + steps + np.arange(1, n + 1)[:, None, None] * self.direction
        is_valid = random.random(n) >= self.generator.share_invalid
        if is_valid.all():
            return frames
        return GeneratedSegment(frames, is_valid, "a fault of its own")

    def state(self):
        return {"direction": self.direction}

    def restore(self, state):
        self.direction = state["direction"]


@dataclass
class WanderingGenerator:
    frame_interval: float | None = 2.0  # ps
    temperature: float = 300.0  # K
    n_frames: int = 4  # of a segment
    every: int = 1  # moves each so-many-th atom
    share_invalid: float = 0.0  # of frames
    propagator_type: type = WanderingPropagator

    def check(self, topology):
        if topology.getNumAtoms() < 2:
            raise UnsupportedTopologyError("nothing to move")

    def propagator(self, topology, positions):
        self.check(topology)
        return self.propagator_type(self, positions)


def generator(*, device):
    """As an entry point names it."""
    return WanderingGenerator()
