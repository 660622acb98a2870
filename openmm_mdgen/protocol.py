"""What a simulation asks of a trajectory generator. MDGen is the first implementation.

Lengths in nanometre, times in picosecond, temperatures in kelvin. Another package offers its model by an object of
this shape under the entry-point group ``openmm_mdgen.generators``.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np


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
