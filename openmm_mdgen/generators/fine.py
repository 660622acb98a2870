"""`FineGenerator`: a forward model whose frames are filled in by an upsampling model.

Axes: ``N`` atoms of the topology, ``n`` moved atoms. Nanometre, picosecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.forward import MoleculePropagator
from openmm_mdgen.generators.given_frames import upsampled
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.model.tasks import Upsampling
from openmm_mdgen.seeds import segment_seed

if TYPE_CHECKING:
    from openmm.app import Topology


class FineGenerator:
    """Frames as close as the upsampling model's; implements `protocol.Generator`.

    Parameters
    ----------
    forward : TrajectoryGenerator
        Weights of forward simulation.
    upsampling : TrajectoryGenerator
        Weights of upsampling, whose given frames are as far apart as the forward model's.

    Raises
    ------
    CheckpointError
        If the second are not weights of upsampling.
    MDGenError
        If their frames do not fit.

    Examples
    --------
    >>> load = TrajectoryGenerator.load
    >>> generator = FineGenerator(load(), load(task="upsampling"))
    >>> simulation = MDGenSimulation(topology, system, integrator, generator=generator)
    >>> simulation.reporters.append(DCDReporter("fine.dcd", 25))  # 0.1 ps in steps of 4 fs
    """

    def __init__(self, forward: TrajectoryGenerator, upsampling: TrajectoryGenerator) -> None:
        upsampling.require(Upsampling)
        task = upsampling.flow.config.task
        assert isinstance(task, Upsampling)
        filled = task.factor * upsampling.frame_interval
        if abs(filled - forward.frame_interval) > 1e-6 * filled:
            raise MDGenError(
                f"weights {upsampling.info.name!r} fill intervals of {filled:g} ps, and frames of "
                f"{forward.info.name!r} are {forward.frame_interval:g} ps apart: take weights that fit each other"
            )
        self.forward, self.upsampling = forward, upsampling
        self.frame_interval, self.temperature = upsampling.frame_interval, forward.temperature

    def check(self, topology: Topology) -> None:
        """Raise `UnsupportedTopologyError` if one of the two cannot take this molecule."""
        self.forward.check(topology)
        self.upsampling.chain_of(topology)

    def propagator(self, topology: Topology, positions: np.ndarray) -> FinePropagator:
        """Bind to a molecule; see `protocol.Generator`."""
        return FinePropagator(self.forward.propagator(topology, positions), self.upsampling)


class FinePropagator:
    """A forward propagator whose segments are filled in; implements `protocol.Propagator`."""

    def __init__(self, forward: MoleculePropagator, upsampling: TrajectoryGenerator) -> None:
        self._forward, self._upsampling = forward, upsampling
        self.atom_indices, self.temperature = forward.atom_indices, forward.temperature
        self.frame_interval = upsampling.frame_interval

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray:
        """The frames that follow `positions`; the forward model's are among them."""
        made = self._forward.segment(positions, seed)
        keys = np.repeat(np.asarray(positions, dtype=np.float64)[None], len(made) + 1, axis=0)
        keys[1:, self.atom_indices] = made
        return upsampled(self._upsampling, self._forward.template.chain, keys, seed=segment_seed(seed, 0))[1:]

    def state(self) -> dict[str, np.ndarray]:
        return self._forward.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._forward.restore(state)
