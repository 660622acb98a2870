"""`MoleculePropagator`: forward weights bound to one molecule.

Axes: ``R`` replicas, ``N`` atoms of the topology, ``n`` atoms of the protein chain. Nanometre, picosecond, kelvin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.placement import place
from openmm_mdgen.molecule.template import AllAtomTemplate

if TYPE_CHECKING:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator


class MoleculePropagator:
    """A generator bound to one molecule; implements `protocol.Propagator`."""

    def __init__(self, generator: TrajectoryGenerator, template: AllAtomTemplate) -> None:
        self.generator, self.template = generator, template
        self.atom_indices = template.chain.atom_indices
        self.frame_interval, self.temperature = generator.frame_interval, generator.temperature

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray:
        """The frames that follow `positions`; see `protocol.Propagator`."""
        return self.segments(np.asarray(positions)[None], [seed])[0]

    def segments(self, positions: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """A segment for each replica, (R, N, 3) nm to (R, frames, n, 3) nm float64, in one batch."""
        generator, chain = self.generator, self.template.chain
        centre = positions[:, chain.atom_indices].mean(axis=1)[:, None]  # float32 is exact enough near the origin only
        atom14 = chain.atom14(positions - centre).float()[:, None].to(generator.device)
        aatype = torch.from_numpy(chain.aatype).to(generator.device).expand(len(seeds), -1)
        frames = Frames.from_atom14(aatype, atom14).repeat_first(generator.info.n_frames)
        tokens = generator.sample(frames, seeds)
        rigids, torsions = generator.flow.config.tokenizer.decode(tokens[:, 1:], frames.rigids[:, 0])
        placed = place(self.template, rigids, torsions, generator.info.backbone)
        return placed.double().cpu().numpy() + centre[:, None]

    def state(self) -> dict[str, np.ndarray]:
        return self.template.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.template = AllAtomTemplate.from_state(self.template.chain, state)
