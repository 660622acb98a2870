"""Trajectories of any generator: replicas keep to themselves, and invalid segments are drawn anew."""

import numpy as np
import pytest

from openmm_mdgen.errors import GenerationError, MDGenError
from openmm_mdgen.generators.rollouts import stream
from openmm_mdgen.protocol import MOST_INVALID, GeneratedSegment
from openmm_mdgen.seeds import segment_seed
from structures import peptide
from wandering import WanderingGenerator, WanderingPropagator

MOLECULE = peptide("AGSA")


def frames_of(generator, n_frames, **options):
    """(R, n_frames, n, 3)."""
    return np.concatenate(list(stream(generator, *MOLECULE, n_frames, **options)), axis=1)


def by_hand(generator, n_frames, replica, seed, *, used=lambda segment: True):
    """The trajectory of one replica, from segments that are drawn here."""
    propagator, there, made = generator.propagator(*MOLECULE), MOLECULE[1].copy(), []
    for index in range(100):
        state = propagator.state()
        answer = propagator.segment(there, segment_seed(seed, index, replica))
        if not used(answer):
            propagator.restore(state)
            continue
        made.append(answer)
        there[propagator.atom_indices] = answer[-1]
        if sum(map(len, made)) >= n_frames:
            return np.concatenate(made)[:n_frames]
    raise AssertionError("not enough segments")


@pytest.mark.parametrize("every", [1, 3])
def test_each_replica_is_a_chain_of_segments_with_a_state_of_its_own(every):
    generator = WanderingGenerator(every=every)
    found = frames_of(generator, 10, replicas=3, seed=5)
    for replica in range(3):
        np.testing.assert_array_equal(found[replica], by_hand(generator, 10, replica, 5))


def test_the_atoms_are_told():
    chunks = stream(WanderingGenerator(every=3), *MOLECULE, 4)
    np.testing.assert_array_equal(chunks.atom_indices, np.arange(0, len(MOLECULE[1]), 3))
    assert next(chunks).shape == (1, 4, len(chunks.atom_indices), 3)


def test_invalid_segments_are_drawn_anew_with_the_next_noise():
    generator = WanderingGenerator(share_invalid=0.1)
    chunks = stream(generator, *MOLECULE, 40, replicas=2, seed=1)
    found = np.concatenate(list(chunks), axis=1)
    for replica in range(2):
        expected = by_hand(generator, 40, replica, 1, used=lambda answer: not isinstance(answer, GeneratedSegment))
        np.testing.assert_array_equal(found[replica], expected)
    assert chunks.redraws > 2


def test_a_segment_that_is_never_valid_is_an_error_with_its_fault():
    calls = []

    class Counted(WanderingPropagator):
        def segment(self, positions, seed):
            calls.append(seed)
            return super().segment(positions, seed)

    chunks = stream(WanderingGenerator(share_invalid=1.0, propagator_type=Counted), *MOLECULE, 4)
    with pytest.raises(GenerationError, match="10 segments in a row.*4 of 4.*a fault of its own"):
        next(chunks)
    assert len(set(calls)) == MOST_INVALID


def test_values_that_are_not_finite_are_an_error():
    class Broken(WanderingPropagator):
        def segment(self, positions, seed):
            return super().segment(positions, seed) * np.nan

    with pytest.raises(GenerationError, match="not finite"):
        next(stream(WanderingGenerator(propagator_type=Broken), *MOLECULE, 4))


def test_independent_samples_all_begin_at_the_start():
    generator = WanderingGenerator(frame_interval=None, n_frames=1)
    found = frames_of(generator, 30, seed=2)
    assert found.shape[1] == 30
    assert np.abs(found - MOLECULE[1]).max() < 0.1  # as far as one segment wanders; a chain of 30 goes on and on
    assert np.abs(frames_of(WanderingGenerator(n_frames=1), 30, seed=2) - MOLECULE[1]).max() > 0.1


def test_segments_of_different_lengths_are_handed_out_together():
    class Ragged(WanderingPropagator):
        def segment(self, positions, seed):
            return super().segment(positions, seed)[: 1 + seed % 4]

    generator = WanderingGenerator(propagator_type=Ragged)
    found = frames_of(generator, 11, replicas=2, seed=5)
    for replica in range(2):
        np.testing.assert_array_equal(found[replica], by_hand(generator, 11, replica, 5))


def test_no_replicas_are_refused():
    with pytest.raises(MDGenError, match="replicas 0"):
        stream(WanderingGenerator(), *MOLECULE, 4, replicas=0)
