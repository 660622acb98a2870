"""Whether a generator keeps what the protocol promises: a check for the tests of the package that brings it.

Words as in `contract`. Lengths in nanometre, temperatures in kelvin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.protocol.contract import (
    BatchPropagator,
    GeneratedSegment,
    Generator,
    Propagator,
    TemperaturePropagator,
    as_segment,
    draw,
    temperature_range,
)

_BATCH_TOLERANCE = 1e-3  # nm: a network in single precision rounds a batch differently


def assert_conforms(
    generator: Generator, topology: Any, positions: np.ndarray, *, refused: Sequence[Any] = (), seed: int = 0
) -> None:
    """Check that a generator keeps what the protocol promises, for the tests of the package that brings it.

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
