"""Forward simulation: the frames that follow given positions.

Axes: ``R`` replicas, ``N`` atoms of the topology, ``n`` atoms of the protein chain, ``L`` residues. Nanometre,
picosecond, kelvin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.generators.sampler import Sampler, frames_of
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.molecule.positions import as_topology, box_of, whole
from openmm_mdgen.molecule.template import AllAtomTemplate
from openmm_mdgen.protocol import GeneratedSegment

if TYPE_CHECKING:
    from openmm.app import Topology

_TEMPERATURE = "temperature"  # in a propagator's state, beside the molecule's geometry


class ForwardModel:
    """Weights of forward simulation, not yet bound to a molecule.

    Parameters
    ----------
    sampler : Sampler

    Raises
    ------
    CheckpointError
        If the weights are for another task.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.task = sampler.require(ForwardSimulation)
        self.sampler = sampler

    def check(self, topology: Topology) -> None:
        """Raise `UnsupportedTopologyError` if the weights cannot take this molecule."""
        self.sampler.chain_of(topology)

    def propagator(self, topology: Topology, positions: np.ndarray) -> MoleculePropagator:
        """Bind to a molecule; see `protocol.Generator.propagator`."""
        topology = as_topology(topology)
        chain, box = self.sampler.chain_of(topology), box_of(topology)
        template = AllAtomTemplate.measure(chain, chain.usable("positions", positions, box))
        return MoleculePropagator(self.sampler, template, box)


class MoleculePropagator:
    """Forward weights bound to one molecule; implements `protocol.BatchPropagator`.

    Parameters
    ----------
    sampler : Sampler
        With weights of forward simulation.
    template : AllAtomTemplate
        The molecule's own bond lengths and angles.
    box : (3, 3), nm, optional
        Vectors of the periodic box over which given positions may be torn.
    """

    def __init__(self, sampler: Sampler, template: AllAtomTemplate, box: np.ndarray | None = None) -> None:
        sampler.warn_of_caps_and_closures(template.chain)
        self._box = box
        self.sampler, self.template = sampler, template
        self.atom_indices = template.chain.atom_indices
        self.frame_interval, self.temperature = sampler.frame_interval, sampler.temperature

    def set_temperature(self, kelvin: float) -> None:
        """Let the segments to come be of another temperature; raises `MDGenError` if the weights do not know it."""
        self.temperature = self.sampler.valid_temperature(kelvin)

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray | GeneratedSegment:
        """The frames that follow `positions`; see `protocol.Propagator.segment`."""
        return self.segments(np.asarray(positions)[None], [seed])[0]

    def segments(self, positions: np.ndarray, seeds: Sequence[int]) -> list[np.ndarray | GeneratedSegment]:
        """A segment for each replica, drawn in one batch; see `protocol.BatchPropagator.segments`.

        Parameters
        ----------
        positions : (R, N, 3), nm
        seeds : sequence of int
            One for each replica.

        Returns
        -------
        list of (n_frames, n, 3) float64, nm, or GeneratedSegment
            The latter where some of the frames are not valid.
        """
        sampler, chain = self.sampler, self.template.chain
        positions = whole(chain, np.asarray(positions), self._box)
        centre = positions[:, chain.atom_indices].mean(axis=1)[:, None]  # float32 is exact enough near the origin only
        frames = frames_of(chain, (positions - centre)[:, None], device=sampler.device)
        frames = frames.repeat_first(sampler.info.n_frames)
        with sampler.threads_for(frames):
            tokens = sampler.sample(frames, seeds, temperature=self.temperature)
            rigids, torsions = sampler.flow.config.tokenizer.decode(tokens[:, 1:], frames.rigids[:, 0])
            placed = sampler.backbone.place(self.template, rigids, torsions)
        atoms, is_valid = placed.atoms.cpu().double().numpy() + centre[:, None], placed.is_valid.cpu().numpy()
        return [
            frames if valid.all() else GeneratedSegment(frames, valid, sampler.backbone.fault)
            for frames, valid in zip(atoms, is_valid, strict=True)
        ]

    def state(self) -> dict[str, np.ndarray]:
        """The molecule's geometry, for checkpoints; the same before and after a segment.

        And the temperature, where the network is told it.
        """
        is_told = self.sampler.flow.config.network.temperature
        return self.template.state() | ({_TEMPERATURE: np.array(self.temperature)} if is_told else {})

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` returned.

        Raises
        ------
        CheckpointError
            If it is of another molecule.
        """
        geometry = {name: value for name, value in state.items() if name != _TEMPERATURE}
        self.template = AllAtomTemplate.from_state(self.template.chain, geometry)
        if _TEMPERATURE in state:
            self.set_temperature(float(state[_TEMPERATURE]))
