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

from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError

ENTRY_POINTS = "openmm_mdgen.generators"  # the group in which installed packages offer generators
MOST_INVALID = 10  # segments in a row that a generator may call invalid before a run gives up

_BATCH_TOLERANCE = 1e-3  # nm: a network in single precision rounds a batch differently


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


def assert_conforms(
    generator: Generator, topology: Any, positions: np.ndarray, *, refused: Sequence[Any] = (), seed: int = 0
) -> None:
    """Check that a generator keeps what this module promises, for the tests of the package that brings it.

    Some ten segments are drawn, so the molecule should be a small one.

    Parameters
    ----------
    generator : Generator
    topology : openmm.app.Topology
        A molecule that the generator can take.
    positions : (n_atoms, 3), nm
        A relaxed structure of it.
    refused : sequence of openmm.app.Topology
        Molecules that the generator cannot take.
    seed : int
        Seed of the first segment; the next two numbers are used as well.

    Raises
    ------
    AssertionError
        Saying what is wrong.

    Examples
    --------
    >>> def test_it_is_a_generator():
    ...     pdb = openmm.app.PDBFile("peptide.pdb")
    ...     positions = pdb.getPositions(asNumpy=True).value_in_unit(openmm.unit.nanometer)
    ...     assert_conforms(my_package.generator(device="cpu"), pdb.topology, positions)
    """
    positions = np.array(positions, dtype=np.float64)
    _assert_generator(generator)
    generator.check(topology)
    for other in refused:
        _assert_refused(generator, other)

    def bound(structure: np.ndarray) -> Propagator:
        given = structure.copy()
        propagator = generator.propagator(topology, given)
        assert np.array_equal(given, structure), "propagator() changes the positions that it is given"
        return propagator

    propagator = bound(positions)
    _assert_propagator(propagator, generator, len(positions))
    _assert_temperatures(generator, propagator)
    first = _drawn(propagator, positions, seed)
    state = _copied(propagator.state())  # after one segment, where a run may be taken up again
    there = _after(positions, propagator, first)
    second = _drawn(propagator, there, seed + 1)

    again = bound(positions)
    _assert_same(first, _drawn(again, positions, seed), "a new propagator of the same molecule, positions and seed")
    _assert_same(second, _drawn(again, there, seed + 1), "the next segment of the same positions and seed")
    assert not _are_equal(first, _drawn(bound(positions), positions, seed + 2)), (
        "another seed gives the same frames: segment() has to draw from its seed all that is random"
    )
    taken_up = bound(there)  # another structure: what matters has to be in the state
    taken_up.restore(_copied(state))
    _assert_same(second, _drawn(taken_up, there, seed + 1), "a segment after restore() of what state() gave")
    batch = bound(positions)
    if isinstance(batch, BatchPropagator):
        _assert_batch(batch, positions, there, seed)


def _assert_generator(generator: Generator) -> None:
    assert isinstance(generator, Generator), f"a {type(generator).__name__} lacks members of protocol.Generator"
    assert isinstance(generator.temperature, int | float) and 0 < generator.temperature < np.inf, (
        f"temperature is {generator.temperature!r}: it has to be a number of kelvin above 0"
    )
    interval = generator.frame_interval
    assert interval is None or (isinstance(interval, int | float) and 0 < interval < np.inf), (
        f"frame_interval is {interval!r}: it has to be a number of picoseconds above 0, or None"
    )


def _assert_refused(generator: Generator, topology: Any) -> None:
    structure = np.zeros((topology.getNumAtoms(), 3))
    for name, ask in (
        ("propagator", lambda: generator.propagator(topology, structure)),
        ("check", lambda: generator.check(topology)),
    ):
        try:
            ask()
        except UnsupportedTopologyError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name}() of a molecule that is to be refused raises {type(error).__name__} ({error}), not "
                "UnsupportedTopologyError"
            ) from error
        raise AssertionError(f"{name}() takes a molecule that is to be refused: a run would fail after it began")


def _assert_propagator(propagator: Propagator, generator: Generator, n_atoms: int) -> None:
    assert isinstance(propagator, Propagator), f"a {type(propagator).__name__} lacks members of protocol.Propagator"
    indices = np.asarray(propagator.atom_indices)
    assert indices.ndim == 1 and len(indices) and np.issubdtype(indices.dtype, np.integer), (
        "atom_indices has to be an array of whole numbers, one for each atom that is moved"
    )
    assert indices.min() >= 0 and indices.max() < n_atoms, (
        f"atom_indices goes from {indices.min()} to {indices.max()}, and the topology has atoms 0 to {n_atoms - 1}"
    )
    assert len(np.unique(indices)) == len(indices), "atom_indices names an atom twice"
    for name in ("frame_interval", "temperature"):
        ours, theirs = getattr(propagator, name), getattr(generator, name)
        assert ours == theirs, f"{name} is {ours} of the propagator and {theirs} of the generator"


def _assert_temperatures(generator: Generator, propagator: Propagator) -> None:
    """A propagator takes all temperatures that its generator says it does, and keeps them in its state."""
    own, (low, high) = generator.temperature, temperature_range(generator)
    assert low <= own <= high, f"temperature is {own:g} K, outside of temperature_range, {low:g} to {high:g} K"
    if low == high:
        return
    assert isinstance(propagator, TemperaturePropagator), "temperature_range is stated, and set_temperature is missing"
    for kelvin in (low, high, own):
        propagator.set_temperature(kelvin)
        state = _copied(propagator.state())
        propagator.set_temperature(low if kelvin == high else high)
        propagator.restore(state)
        found = propagator.temperature
        assert found == kelvin, f"restore() of a state at {kelvin:g} K leaves the propagator at {found:g} K"


def _drawn(propagator: Propagator, positions: np.ndarray, seed: int) -> GeneratedSegment:
    """A segment, found to be of the right shape, finite, and drawn without a change of `positions`."""
    given = positions.copy()
    answer = propagator.segment(given, seed)
    assert np.array_equal(given, positions), "segment() changes the positions that it is given"
    try:
        segment = as_segment(answer, len(propagator.atom_indices))
    except MDGenError as error:
        raise AssertionError(f"segment(): {error}") from error
    assert np.isfinite(segment.frames[segment.is_valid]).all(), "segment() gives valid frames that are not finite"
    assert segment.is_valid.all() or segment.fault, "segment() calls frames invalid without saying what their fault is"
    return GeneratedSegment(segment.frames.copy(), segment.is_valid.copy(), segment.fault)


def _after(positions: np.ndarray, propagator: Propagator, segment: GeneratedSegment) -> np.ndarray:
    """Where a run stands after a segment: at its last valid frame."""
    there = positions.copy()
    if segment.is_valid.any():
        there[propagator.atom_indices] = segment.frames[segment.is_valid][-1]
    return there


def _assert_batch(propagator: BatchPropagator, first: np.ndarray, second: np.ndarray, seed: int) -> None:
    """Replicas at once are the replicas one by one, to rounding, and leave the state as it was."""
    state = _copied(propagator.state())
    alone = [_drawn(propagator, positions, seed + k) for k, positions in enumerate((first, second))]
    propagator.restore(_copied(state))
    together = draw(propagator, np.stack([first, second]), [seed, seed + 1])
    assert len(together) == 2, f"segments() gives {len(together)} segments for 2 replicas"
    for k, (one, other) in enumerate(zip(alone, together, strict=True)):
        assert one.frames.shape == other.frames.shape, f"segments() gives replica {k} another length than segment()"
        far = np.abs(one.frames - other.frames).max()
        assert far <= _BATCH_TOLERANCE, f"segments() gives replica {k} other frames than segment(): {far:.2g} nm away"
    after = propagator.state()
    assert state.keys() == after.keys() and all(np.array_equal(state[name], after[name]) for name in state), (
        "segments() changes the state: replicas share it, so segments must not depend on those before"
    )


def _assert_same(expected: GeneratedSegment, found: GeneratedSegment, what: str) -> None:
    assert _are_equal(expected, found), f"{what} has other frames: they have to be the same, bit for bit"


def _are_equal(first: GeneratedSegment, second: GeneratedSegment) -> bool:
    return np.array_equal(first.frames, second.frames, equal_nan=True) and np.array_equal(
        first.is_valid, second.is_valid
    )


def _copied(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in state.items()}
