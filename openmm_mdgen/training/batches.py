"""The batch of a step, which depends on the seed and the step alone, in equal parts for any number of processes.

Axes as in `tokens`; ``B`` is one process's part of the global batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.data import Windows
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.interpolant import INTERPOLANTS
from openmm_mdgen.model.tokens import N_TORSION_CHANNELS, Frames


@dataclass(frozen=True)
class Batch:
    """Windows, and all that is drawn at random for their loss."""

    frames: Frames
    noise: Float[Tensor, "B T L D"]
    t: Float[Tensor, " B"]
    type_noise: Float[Tensor, "B L 20"] | None  # simplex states at t, for networks that design

    def to(self, device: torch.device) -> Batch:
        types = None if self.type_noise is None else self.type_noise.to(device)
        return Batch(self.frames.to(device), self.noise.to(device), self.t.to(device), types)


@dataclass(frozen=True)
class Batches:
    """The batches of a run by the number of the step, from 0.

    Parameters
    ----------
    windows : Windows
    flow : FlowConfig
    size : int
        Number of windows in a batch, over all processes.
    seed : int
    rank, n_ranks : int
        Number of this process, from 0, and of all processes, which divides `size`: `rank` takes its part of a batch.
    """

    windows: Windows
    flow: FlowConfig
    size: int
    seed: int
    rank: int = 0
    n_ranks: int = 1

    def __getitem__(self, step: int) -> Batch:
        frames = self.windows.batch(self.size, np.random.default_rng((self.seed, step)))
        entropy = np.random.SeedSequence((self.seed, step, 1)).generate_state(1)
        generator = torch.Generator().manual_seed(int(entropy[0]))
        noise = torch.randn(*frames.rigids.shape, self.flow.network.token_width, generator=generator)
        t = INTERPOLANTS[self.flow.interpolant]().draw_times(self.size, generator)
        types = None
        if self.flow.network.designs:
            types = self.flow.simplex.states(frames.aatype, t, np.random.default_rng((self.seed, step, 2)))
        if self.n_ranks == 1:
            return Batch(frames, noise, t, types)
        part = slice(self.rank * self.size // self.n_ranks, (self.rank + 1) * self.size // self.n_ranks)
        return Batch(frames[part], noise[part], t[part], None if types is None else types[part])


def channel_weights(flow: FlowConfig, offset_weight: float) -> Float[Tensor, " D"]:
    """Weights in the loss of the channels of a token: `offset_weight` for offsets, 1 for torsions."""
    weights = torch.ones(flow.network.token_width)
    weights[:-N_TORSION_CHANNELS] = offset_weight
    return weights
