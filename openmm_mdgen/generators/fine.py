"""`FineGenerator`: frames of a forward model, and between them those of an upsampling model.

Axes: ``N`` atoms of the topology, ``n`` atoms that are moved. Nanometre, picosecond.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.forward import ForwardModel, MoleculePropagator
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.generators.upsampling import Upsampler
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.protocol import GeneratedSegment, as_segment
from openmm_mdgen.seeds import segment_seed
from openmm_mdgen.temperatures import nearest
from openmm_mdgen.times import STATED

if TYPE_CHECKING:
    from openmm.app import Topology


class FineGenerator:
    """A forward model whose frames are filled in by an upsampling model; implements `protocol.Generator`.

    Its frames are as far apart as those of the upsampling model; those of the forward model are among them.

    Parameters
    ----------
    forward : TrajectoryGenerator
        Weights of forward simulation.
    upsampling : TrajectoryGenerator
        Weights of upsampling that fill in frames as far apart as those of the forward model.

    Raises
    ------
    CheckpointError
        If `upsampling` has weights of another task.
    MDGenError
        If the intervals of the two do not fit.

    Examples
    --------
    >>> load = TrajectoryGenerator.load
    >>> generator = FineGenerator(load(), load(task="upsampling"))
    >>> simulation = MDGenSimulation(topology, system, integrator, generator=generator)
    >>> simulation.reporters.append(DCDReporter("fine.dcd", 25))  # 0.1 ps in steps of 4 fs
    """

    def __init__(self, forward: TrajectoryGenerator, upsampling: TrajectoryGenerator) -> None:
        for name, weights in (("forward", forward), ("upsampling", upsampling)):
            require(
                name, weights, hasattr(weights, "sampler"), "a TrajectoryGenerator, such as TrajectoryGenerator.load()"
            )
        ForwardModel(forward.sampler)  # raises where the weights are for another task
        upsampler = Upsampler(upsampling.sampler)
        filled = upsampler.given_interval
        if not math.isclose(filled, forward.frame_interval, rel_tol=STATED):
            raise MDGenError(
                f"weights {upsampling.info.name!r} fill intervals of {filled:g} ps, and frames of "
                f"{forward.info.name!r} are {forward.frame_interval:g} ps apart: take weights that fit each other"
            )
        _warn_of_conditions(forward.info, upsampling.info, forward.temperature)
        self.forward, self.upsampling, self._upsampler = forward, upsampling, upsampler
        self.frame_interval = upsampling.frame_interval
        self.force_field = forward.force_field
        self.name = f"{forward.name} and {upsampling.name}"

    @property
    def temperature(self) -> float:
        """Kelvin, of the forward model's frames; can be set within its range."""
        return self.forward.temperature

    @temperature.setter
    def temperature(self, kelvin: float) -> None:
        self.forward.temperature = kelvin

    @property
    def temperature_range(self) -> tuple[float, float]:
        """Lowest and highest temperature in kelvin that the forward model takes."""
        return self.forward.temperature_range

    @property
    def checksum(self) -> str:
        """What tells the weights of both from all others, for checkpoints."""
        return f"{self.forward.checksum} {self.upsampling.checksum}"

    def moved_atoms(self, topology: Topology) -> np.ndarray:
        """Numbers of the atoms that are generated, (n,)."""
        return self.forward.moved_atoms(topology)

    def check(self, topology: Topology) -> None:
        """Raise `UnsupportedTopologyError` if one of the two cannot take this molecule."""
        self.forward.check(topology)
        self.upsampling.sampler.chain_of(topology)

    def propagator(self, topology: Topology, positions: np.ndarray) -> FinePropagator:
        """Bind to a molecule; see `protocol.Generator.propagator`."""
        return FinePropagator(self.forward.propagator(topology, positions), self._upsampler)


class FinePropagator:
    """A forward propagator whose segments are filled in; implements `protocol.Propagator`."""

    def __init__(self, forward: MoleculePropagator, upsampler: Upsampler) -> None:
        self._forward, self._upsampler = forward, upsampler
        self.atom_indices, self.temperature = forward.atom_indices, forward.temperature
        self.frame_interval = upsampler.sampler.frame_interval

    def set_temperature(self, kelvin: float) -> None:
        """Let the segments to come be of another temperature, as far as the weights know it."""
        self._forward.set_temperature(kelvin)
        self.temperature = kelvin
        filled = nearest(kelvin, self._upsampler.sampler.info.temperature_range)
        if filled != kelvin:
            warnings.warn(
                f"frames at {kelvin:g} K are filled in with motion of {filled:g} K, the nearest that weights "
                f"{self._upsampler.sampler.info.name!r} know",
                stacklevel=2,
            )

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray | GeneratedSegment:
        """The frames that follow `positions`; the forward model's are among them."""
        segment = as_segment(self._forward.segment(positions, seed), len(self.atom_indices))
        if not segment.is_valid.all():  # nothing of it will be used
            return segment
        made = segment.frames
        keys = np.repeat(np.asarray(positions, dtype=np.float64)[None], len(made) + 1, axis=0)
        keys[1:, self.atom_indices] = made
        kelvin = nearest(self.temperature, self._upsampler.sampler.info.temperature_range)
        chain, seed = self._forward.template.chain, segment_seed(seed, 0)
        return self._upsampler.filled(chain, keys, seed=seed, temperature=kelvin)[1:]

    def state(self) -> dict[str, np.ndarray]:
        return self._forward.state()

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._forward.restore(state)
        self.temperature = self._forward.temperature


def _warn_of_conditions(forward: ModelInfo, upsampling: ModelInfo, kelvin: float) -> None:
    """Warn where the upsampling weights were trained on MD under other conditions than the frames that they fill."""
    fields = (forward.force_field, upsampling.force_field)
    knows = nearest(kelvin, upsampling.temperature_range) == kelvin
    if "unknown" not in fields and (fields[0] != fields[1] or not knows):
        warnings.warn(
            f"weights {upsampling.name!r} were trained on MD in {fields[1]} at {upsampling.temperature_in_words}, and "
            f"{forward.name!r} in {fields[0]}, for frames at {kelvin:g} K: the motion between frames is that of the "
            "former",
            stacklevel=3,
        )
