"""What a simulation asks of a trajectory generator. MDGen is the first implementation.

Lengths in nanometre, times in picosecond, temperatures in kelvin. Another model takes its
place by an object of this shape, given to a simulation as ``generator``.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np


def segment_seed(seed: int, index: int, replica: int = 0) -> int:
    """Seed of segment number `index` of a run; replica 0 of a batch is the run that a simulation of this seed makes."""
    entropy = (seed, index) if replica == 0 else (seed, index, replica)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


@runtime_checkable
class Propagator(Protocol):
    """One molecule's generator: deterministic, given positions and a seed."""

    atom_indices: np.ndarray  # (n_moved,) int: the atoms of the topology that it moves
    frame_interval: float  # ps between frames
    temperature: float  # K, of the data it was trained on

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray:
        """The frames that follow `positions`.

        Parameters
        ----------
        positions : (n_atoms, 3) float64, nm
            All atoms of the topology.
        seed : int
            Same positions and seed, same frames, bit for bit on one machine.

        Returns
        -------
        (n_frames, n_moved, 3) float64, nm
            New frames only: the first lies one `frame_interval` after `positions`.
        """
        ...

    def state(self) -> dict[str, np.ndarray]:
        """What besides positions and seed the next segment depends on, for checkpoints."""
        ...

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` returned."""
        ...


@runtime_checkable
class Generator(Protocol):
    """A trained model, not yet bound to a molecule."""

    frame_interval: float  # ps
    temperature: float  # K

    def check(self, topology: Any) -> None:
        """Raise `UnsupportedTopologyError` if the model cannot take this molecule; quick."""
        ...

    def propagator(self, topology: Any, positions: np.ndarray) -> Propagator:
        """Bind to an OpenMM topology.

        Parameters
        ----------
        topology : openmm.app.Topology
        positions : (n_atoms, 3) float64, nm
            A relaxed structure: the source of bond lengths, angles and hydrogens of generated frames.

        Raises
        ------
        UnsupportedTopologyError
            If the model cannot take this molecule.
        """
        ...
