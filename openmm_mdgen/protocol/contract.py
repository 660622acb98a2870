"""What a simulation asks of a trajectory generator. MDGen is the first implementation.

A *generator* is a trained model; bound to one molecule it is a *propagator*, which draws *segments*: the frames that
follow given positions. Lengths in nanometre, times in picosecond, temperatures in kelvin. Another model takes MDGen's
place by an object of this shape, given to a simulation as ``generator``, or by its name if its package has an entry
point of the group ``openmm_mdgen.generators``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError

ENTRY_POINTS = "openmm_mdgen.generators"  # the group in which installed packages offer generators
MOST_INVALID = 10  # segments in a row that a generator may call invalid before a run gives up


@dataclass(frozen=True, eq=False)
class GeneratedSegment:
    """One answer of a propagator.

    Parameters
    ----------
    frames : (n_frames, n_moved, 3) float64, nm
        New frames only: the first lies one frame interval after the positions that the segment continues.
    is_valid : (n_frames,) bool
        False for frames that must not be used. By default all are valid.
    fault : str
        What is wrong with the frames that are not valid, as a sentence's predicate, e.g. ``"the chain is open between
        ALA 3 and GLY 4"``.
    """

    frames: np.ndarray
    is_valid: np.ndarray = field(default_factory=lambda: np.ones(0, dtype=bool))
    fault: str = ""

    def __post_init__(self) -> None:
        if not len(self.is_valid):
            object.__setattr__(self, "is_valid", np.ones(len(self.frames), dtype=bool))


@runtime_checkable
class Propagator(Protocol):
    """One molecule's generator: deterministic, given positions and a seed."""

    atom_indices: np.ndarray  # (n_moved,) int: the atoms of the topology that it moves
    temperature: float  # K, of the data it was trained on

    @property
    def frame_interval(self) -> float | None:
        """Ps between frames; None where frames are independent samples."""
        ...

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray | GeneratedSegment:
        """The frames that follow `positions`.

        Parameters
        ----------
        positions : (n_atoms, 3) float64, nm
            All atoms of the topology.
        seed : int
            Same positions and seed, same frames, bit for bit on one machine.

        Returns
        -------
        (n_frames, n_moved, 3) float64, nm, or GeneratedSegment
            New frames only: the first lies one `frame_interval` after `positions`. A `GeneratedSegment` can say of
            each frame whether it is valid.
        """
        ...

    def state(self) -> dict[str, np.ndarray]:
        """What besides positions and seed the next segment depends on, for checkpoints."""
        ...

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take back what `state` returned."""
        ...


@runtime_checkable
class BatchPropagator(Propagator, Protocol):
    """A propagator that draws segments of many replicas at once; where it does not, they are drawn one by one."""

    def segments(self, positions: np.ndarray, seeds: Sequence[int]) -> Sequence[np.ndarray | GeneratedSegment]:
        """A segment of each replica.

        Replicas share the propagator, so its `state` must not change with the segments it draws.

        Parameters
        ----------
        positions : (R, n_atoms, 3) float64, nm
        seeds : sequence of int
            One for each replica.

        Returns
        -------
        sequence of (n_frames, n_moved, 3) float64, nm, or of GeneratedSegment
            As `segment` would return them, to rounding.
        """
        ...


@runtime_checkable
class TemperaturePropagator(Propagator, Protocol):
    """A propagator whose segments to come can be of another temperature; it is kept in `state`."""

    def set_temperature(self, kelvin: float) -> None:
        """Ask for a temperature within the `temperature_range` of the generator."""
        ...


@runtime_checkable
class Generator(Protocol):
    """A trained model, not yet bound to a molecule.

    A generator may also have more members. With two of them a simulation can say early what generated frames will not
    honour: ``moved_atoms(topology)``, the numbers (n_moved,) of the atoms that it will move, and ``force_field``, the
    force field and solvent of its training data in words, such as ``"amber14-all.xml, implicit/gbn2.xml"``. With
    ``checksum``, a text that tells its weights from all others, a checkpoint is refused by a simulation with other
    weights; ``name`` is what they are called then.

    A model that knows several temperatures has ``temperature_range``, the lowest and the highest of them. Its
    ``temperature`` can then be set, and its propagators are `TemperaturePropagator`: a simulation asks them for that of
    its integrator before each segment.
    """

    temperature: float  # K, of the data it was trained on

    @property
    def frame_interval(self) -> float | None:
        """Ps between frames; None where frames are independent samples, with no order in time."""
        ...

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


class GeneratorFactory(Protocol):
    """What an entry point of the group ``openmm_mdgen.generators`` names: it is called only when a user names it."""

    def __call__(self, *, device: str) -> Generator:
        """Load the generator.

        Parameters
        ----------
        device : str
            Where it is to run: ``"auto"``, for the best that is there, or a torch device such as ``"cpu"``. One that is
            not there should raise `errors.CheckpointError`.
        """
        ...


def require_generator(value: Any) -> None:
    """Raise `MDGenError` unless a value, given as ``generator``, is an object with the members of one."""
    is_right = isinstance(value, Generator) and not isinstance(value, type)
    require("generator", value, is_right, "an object with the members of protocol.Generator, such as loaded weights")


def temperature_range(generator: Generator) -> tuple[float, float]:
    """Lowest and highest temperature that a generator takes, in K; both are its own where it knows no other."""
    return getattr(generator, "temperature_range", None) or (generator.temperature, generator.temperature)


def draw(propagator: Propagator, positions: np.ndarray, seeds: Sequence[int]) -> list[GeneratedSegment]:
    """A segment of each replica: all at once where the propagator can, else one by one.

    Parameters
    ----------
    propagator : Propagator
    positions : (R, n_atoms, 3) float64, nm
    seeds : sequence of int
        One a replica.

    Returns
    -------
    list of GeneratedSegment

    Raises
    ------
    MDGenError
        If an answer is not of the propagator's atoms.
    """
    if isinstance(propagator, BatchPropagator):
        answers = propagator.segments(positions, seeds)
    else:
        answers = [propagator.segment(x, seed) for x, seed in zip(positions, seeds, strict=True)]
    return [as_segment(answer, len(propagator.atom_indices)) for answer in answers]


def as_segment(answer: np.ndarray | GeneratedSegment, n_moved: int) -> GeneratedSegment:
    """A propagator's answer as a `GeneratedSegment`; raises `MDGenError` if it is not of `n_moved` atoms."""
    frames = np.asarray(answer.frames if isinstance(answer, GeneratedSegment) else answer, dtype=np.float64)
    if frames.ndim != 3 or len(frames) == 0 or frames.shape[1:] != (n_moved, 3):
        raise MDGenError(f"the generator gave an array of shape {frames.shape}, not (frames, {n_moved}, 3)")
    segment = answer if isinstance(answer, GeneratedSegment) else GeneratedSegment(frames)
    if segment.is_valid.shape != frames.shape[:1]:
        raise MDGenError(
            f"the generator gave {len(frames)} frames, and says of {len(segment.is_valid)} which are valid"
        )
    return GeneratedSegment(frames, segment.is_valid, segment.fault)
