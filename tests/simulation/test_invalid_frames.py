"""Segments that the generator itself calls invalid: drawn anew, counted, and refused in the end; rejected on trial."""

import io

import numpy as np
import pytest

from dipeptide import FRAME, Recorder, assert_same_state, simulation_of, state_of
from hybrids import Says, hybrid, stretches
from openmm_mdgen.errors import GenerationError, MDGenError
from openmm_mdgen.protocol import GeneratedSegment
from openmm_mdgen.simulation.record import GENERATED, Record, Segment, Summary
from tumbling import TumblingGenerator

OPEN = "the chain is open between ALA 1 and ALA 2"


class Invalid:
    """Spoils segments: says of frame 2 of the draws that it is told that it is not valid; counts from 0."""

    def __init__(self, *draws):
        self.draws, self.n_drawn = draws, 0

    def __call__(self, frames):
        self.n_drawn += 1
        is_valid = np.ones(len(frames), dtype=bool)
        is_valid[2] = self.n_drawn - 1 not in self.draws
        return GeneratedSegment(frames, is_valid, OPEN)


def test_an_invalid_segment_is_drawn_anew_with_the_next_noise_and_counted():
    simulation = simulation_of(TumblingGenerator(spoil=Invalid(1, 2)))
    recorder = Recorder(FRAME, include=["positions"])
    simulation.reporters.append(recorder)
    simulation.step(12 * FRAME)
    assert stretches(simulation) == [
        (GENERATED, 0, 4, True),
        (GENERATED, 4, 4, False),
        (GENERATED, 4, 4, False),
        (GENERATED, 4, 4, True),
        (GENERATED, 8, 4, True),
    ]
    rejected = [s for s in simulation.segments if not s.accepted]
    assert {s.reason for s in rejected} == {f"frame 2: {OPEN}"}
    assert Summary.of(simulation.segments).reasons == {"invalid": 2}
    (propagator,) = simulation.generator.propagators
    assert propagator.n_segments == 3  # put back after each of the two
    assert len({seed for _, seed in propagator.calls}) == 5
    np.testing.assert_array_equal(propagator.calls[3][0], recorder.positions()[3])
    np.testing.assert_array_equal(propagator.calls[4][0], recorder.positions()[7])


def test_a_restart_after_an_invalid_segment_continues_bit_for_bit():
    whole, file = simulation_of(TumblingGenerator(spoil=Invalid(0, 1))), io.BytesIO()
    whole.step(3 * FRAME)
    whole.saveCheckpoint(file)
    whole.step(4 * FRAME)
    file.seek(0)
    second = simulation_of(positions=False)
    second.loadCheckpoint(file)
    second.step(4 * FRAME)
    assert_same_state(whole, second)
    assert Summary.of(second.segments).reasons == {"invalid": 2}


def test_ten_invalid_segments_in_a_row_are_an_error_that_names_the_fault():
    invalid = Invalid(*range(1, 11))
    simulation = simulation_of(TumblingGenerator(spoil=invalid))
    simulation.step(4 * FRAME)
    before = state_of(simulation)
    with pytest.raises(GenerationError, match=f"10 segments in a row.* frame 2: {OPEN}"):
        simulation.step(FRAME)
    assert invalid.n_drawn == 11
    for one, other in zip(before, state_of(simulation), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len([s for s in simulation.segments if not s.accepted]) == 10
    simulation.step(FRAME)  # the noise goes on, so another try may succeed
    assert simulation.generator.propagators[0].n_segments == 2


def test_a_hybrid_trial_rejects_an_invalid_segment_whatever_the_gate_says():
    simulation = hybrid(Says(True), generator=TumblingGenerator(spoil=Invalid(0)))
    simulation.step(9 * FRAME)
    assert [s.reason for s in simulation.segments if not s.accepted] == [f"frame 2: {OPEN}"]
    assert Summary.of(simulation.segments).reasons == {"invalid": 1}


def test_frames_beyond_the_end_of_a_phase_may_be_invalid():
    simulation = hybrid(Says(True), generator=TumblingGenerator(spoil=Invalid(1)))
    simulation.step(9 * FRAME)  # the second segment has two frames left in its phase
    assert all(s.accepted for s in simulation.segments)


def test_a_generator_of_independent_samples_is_refused_when_the_simulation_is_made():
    with pytest.raises(MDGenError, match="independent samples"):
        simulation_of(TumblingGenerator(frame_interval=None))


def test_records_from_before_kinds_were_written_down_are_counted_by_kind():
    reasons = ["frame 1: ALA 1 CB and ALA 2 O clash, 0.010 nm nearer than atoms come in MD", "landing: no ground", "!"]
    old = [Segment(GENERATED, 0, 4, accepted=False, reason=reason) for reason in reasons]
    lines = Record(old).to_array().tobytes().decode().replace(', "reason_kind": ""', "")
    assert "reason_kind" not in lines
    record = Record.from_array(np.frombuffer(lines.encode(), dtype=np.uint8))
    assert Summary.of(record.segments).reasons == {"clash": 1, "landing": 1, "!": 1}
