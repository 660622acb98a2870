"""Real MD and generated segments in one run: what is handed out, what is not, and what is written down."""

import io
import signal

import numpy as np
import openmm
import pytest

from dipeptide import (
    FRAME,
    REFERENCE,
    STEP_SIZE,
    assert_same_state,
    langevin,
    peptide,
    plain_simulation,
    python,
    simulation_of,
    state_of,
)
from hybrids import INTERVAL, PERIOD, SCHEDULE, Says, hybrid, recorded, stretches
from openmm_mdgen.errors import GenerationError, LandingError, MDGenError, ReportIntervalError, StateError
from openmm_mdgen.simulation import landing
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.engine import Engine
from openmm_mdgen.simulation.gate import Gate
from openmm_mdgen.simulation.record import GENERATED, INTEGRATED, Summary, is_real
from openmm_mdgen.simulation.schedule import Alternate, Generate, Integrate, WhileAccepted
from tumbling import TumblingGenerator


def test_a_gate_that_always_rejects_leaves_plain_md_bit_for_bit():
    runs = []
    # One after the other: contexts of the Reference platform share one stream of random numbers.
    for make in (plain_simulation, lambda: hybrid(Says(False, retries=2))):
        simulation = make()
        runs.append((simulation, recorded(simulation, 18)))
    (plain, expected), (ours, got) = runs
    np.testing.assert_array_equal(got.positions(), expected.positions())
    assert_same_state(plain, ours)
    tried = [s for s in ours.segments if s.kind == GENERATED]
    # Segments of 4 and 2 frames in each of two phases, each tried three times.
    assert len(tried) == 12 and not any(s.accepted for s in tried)
    assert is_real(ours.segments, FRAME * np.arange(1, 19)).all()


def test_phases_alternate_and_the_record_says_which_frame_is_which():
    simulation = hybrid()
    recorder = recorded(simulation, 12)
    assert stretches(simulation) == [
        (INTEGRATED, 0, 3, True),
        (GENERATED, 3, 4, True),
        (GENERATED, 7, 2, True),
        (INTEGRATED, 9, 3, True),
    ]
    steps = [state.getStepCount() for state in recorder.frames]
    assert steps == list(range(FRAME, 13 * FRAME, FRAME))
    real = is_real(simulation.segments, steps)
    assert real.tolist() == [True] * 3 + [False] * 6 + [True] * 3
    first, second = simulation.gate.trials
    np.testing.assert_array_equal(recorder.positions()[3:7], first.frames)
    np.testing.assert_array_equal(recorder.positions()[7:9], second.frames)
    np.testing.assert_array_equal(first.start, recorder.positions()[2])
    np.testing.assert_array_equal(second.start, first.frames[-1])
    assert all(s.wall_seconds > 0 for s in simulation.segments)
    assert simulation.segments[1].energies.keys() == {"relaxed_energy", "landed_energy", "landed_energy_limit"}


def test_real_md_goes_on_from_the_landed_state_and_not_from_the_frame():
    simulation = hybrid()
    simulation.step(PERIOD)
    step, landed = simulation._advance.trials.landed
    assert step == PERIOD
    simulation.step(1)
    _, _, positions, velocities = state_of(simulation)
    moved = positions - landed.positions
    np.testing.assert_allclose(moved, STEP_SIZE * velocities, atol=2e-3)
    assert 0 < np.abs(moved).max() < 0.02
    assert np.corrcoef(velocities.ravel(), landed.velocities.ravel())[0, 1] > 0.5


def test_a_rejected_segment_reaches_no_reporter_and_the_generator_is_put_back():
    gate = Says(False, True, False, False, retries=1)
    simulation = hybrid(gate)
    recorder = recorded(simulation, 18)
    reported = {frame.tobytes() for frame in recorder.positions()}
    accepted = [s for s in simulation.segments if s.kind == GENERATED and s.accepted]
    rejected = [s for s in simulation.segments if s.kind == GENERATED and not s.accepted]
    assert len(accepted) == 2 and len(rejected) == len(gate.trials) - 2 == 6
    for k, trial in enumerate(gate.trials):
        assert all((frame.tobytes() in reported) == (k % 4 == 1) for frame in trial.frames)
    assert [s.reason for s in rejected] == ["told so"] * 6
    (propagator,) = simulation.generator.propagators
    assert propagator.n_segments == 2
    assert len({seed for _, seed in propagator.calls}) == len(gate.trials)  # new noise at each try
    in_place = [s for s in simulation.segments if s.reason == "in place of a rejected segment"]
    assert [(s.kind, s.steps) for s in in_place] == [(INTEGRATED, 2 * FRAME)] * 2


def test_a_segment_that_is_not_finite_is_rejected_whatever_the_gate_says():
    generator = TumblingGenerator(spoil=lambda frames: frames * np.nan)
    simulation = hybrid(Says(True), generator=generator)
    recorder = recorded(simulation, 9)
    assert np.isfinite(recorder.positions()).all()
    assert {s.reason for s in simulation.segments if not s.accepted} == {"positions that are not finite"}


def test_a_segment_that_cannot_be_landed_is_rejected(monkeypatch):
    def fails(self, frame, ground, seed):
        raise LandingError("no ground")

    monkeypatch.setattr(landing.Lander, "land", fails)
    simulation = hybrid()
    recorder = recorded(simulation, 9)
    assert is_real(simulation.segments, FRAME * np.arange(1, 10)).all() and len(recorder.frames) == 9
    assert {s.reason for s in simulation.segments if not s.accepted} == {"landing: no ground"}


def test_while_accepted_retreats_for_its_own_time():
    simulation = hybrid(Says(True, True, False), schedule=WhileAccepted(integrate=3 * INTERVAL))
    recorded(simulation, 15)
    assert stretches(simulation) == [
        (GENERATED, 0, 4, True),
        (GENERATED, 4, 4, True),
        (GENERATED, 8, 4, False),
        (INTEGRATED, 8, 3, True),
        (GENERATED, 11, 4, True),
    ]


@pytest.mark.parametrize("n_before", [2, 3, 5, 7, 8])
def test_pieces_and_restarts_equal_the_run_in_one(n_before):
    whole, parts, restarted = (hybrid(Says(True, False)) for _ in range(3))
    whole.step(18 * FRAME)
    del whole
    # Only one context of the Reference platform draws at a time, and a checkpoint holds its stream.
    parts.step(n_before * FRAME)
    file = io.BytesIO()
    parts.saveCheckpoint(file)
    n_trials = len(parts.gate.trials)
    expected = recorded(parts, 18 - n_before)
    file.seek(0)
    restarted.loadCheckpoint(file)
    restarted.gate.trials += [None] * n_trials
    got = recorded(restarted, 18 - n_before)
    np.testing.assert_array_equal(got.positions(), expected.positions())
    assert_same_state(parts, restarted)
    assert [s[:4] for s in stretches(restarted)] == stretches(parts)


@pytest.mark.parametrize("phase", ["integrate", "generate", "gate", "landing"])
def test_a_run_killed_in_any_phase_continues_bit_for_bit(tmp_path, phase):
    dead = python(f"import hybrids; hybrids.run_until_killed({phase!r})", tmp_path)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    uninterrupted = hybrid(Gate())
    expected = recorded(uninterrupted, 20)
    simulation = hybrid(Gate(), positions=False, seed=1)
    simulation.loadCheckpoint(str(tmp_path / "run.chk"))
    begun = simulation.currentStep // FRAME
    assert begun > 0
    got = recorded(simulation, 20 - begun)
    np.testing.assert_array_equal(got.positions(), expected.positions()[begun:])
    assert stretches(simulation) == stretches(uninterrupted)


def test_the_summary_adds_up():
    simulation = hybrid(Says(True, False))
    simulation.step(18 * FRAME)
    summary = Summary.of(simulation.segments)
    assert summary.integrated_steps + summary.generated_steps == 18 * FRAME
    assert (summary.accepted, summary.rejected, summary.reasons) == (2, 2, {"told so": 2})
    assert "2 segments rejected" in str(summary) and "2 x told so" in str(summary)


def test_generate_without_a_gate_is_recorded_and_judged_by_none():
    simulation = simulation_of()
    simulation.step(6 * FRAME)
    assert stretches(simulation) == [(GENERATED, 0, 4, True), (GENERATED, 4, 4, True)]
    assert simulation.gate is None


def test_integrate_is_recorded_too():
    simulation = simulation_of(schedule=Integrate())
    simulation.step(7)
    simulation.step(8)
    assert [(s.kind, s.start_step, s.steps) for s in simulation.segments] == [(INTEGRATED, 0, 15)]


def test_set_positions_in_flight_are_taken_as_they_are():
    simulation = hybrid()
    simulation.step(5 * FRAME)
    simulation.context.setPositions(peptide()[1])
    simulation.step(4 * FRAME)
    trials = simulation.gate.trials
    np.testing.assert_array_equal(trials[1].start, peptide()[1]._value)
    assert [s.steps // FRAME for s in simulation.segments] == [3, 2, 4]


def test_what_hybrid_runs_cannot_do_is_refused_before_md():
    topology, positions, system = peptide()
    with pytest.raises(ReportIntervalError, match="integrate=0.01 ps is not a whole number of generated frames"):
        hybrid(schedule=Alternate(integrate=0.01, generate=0.2))
    with pytest.raises(MDGenError, match=r"Gate\(\)"):
        hybrid(Gate)
    with pytest.warns(UserWarning, match="VerletIntegrator holds no temperature"):
        hybrid(integrator=openmm.VerletIntegrator(STEP_SIZE))
    with pytest.warns(UserWarning, match="300 K .* 350 K"):
        hybrid(generator=TumblingGenerator(temperature=350))
    virtual = changed(system)
    site, *ends = (next(a.index for a in topology.atoms() if a.name == name) for name in ("C", "CA", "O"))
    virtual.setParticleMass(site, 0)
    virtual.setVirtualSite(site, openmm.TwoParticleAverageSite(*ends, 0.5, 0.5))
    with pytest.raises(LandingError, match="virtual site in the protein"):
        made(topology, virtual)
    impossible = changed(system)
    impossible.addConstraint(0, 4, 0.4)
    simulation = made(topology, impossible)
    simulation.context.setPositions(positions)
    before = state_of(simulation)
    with pytest.raises(LandingError, match="atoms 0 and 4 are constrained to 0.400 nm"):
        simulation.step(FRAME)
    for one, other in zip(before, state_of(simulation), strict=True):
        np.testing.assert_array_equal(one, other)


def changed(system):
    return openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))


def made(topology, system):
    return MDGenSimulation(
        topology, system, langevin(), REFERENCE, generator=TumblingGenerator(), schedule=SCHEDULE, gate=Says(True)
    )


def test_a_gate_may_judge_a_run_that_only_generates():
    simulation = hybrid(Says(True, False), schedule=Generate())
    simulation.step(12 * FRAME)
    assert stretches(simulation) == [
        (GENERATED, 0, 4, True),
        (GENERATED, 4, 4, False),
        (INTEGRATED, 4, 4, True),
        (GENERATED, 8, 4, True),
    ]


def test_frames_of_a_run_without_a_gate_are_judged_before_a_hybrid_run_goes_on():
    ungated, file = simulation_of(), io.BytesIO()
    ungated.step(2 * FRAME)
    ungated.saveCheckpoint(file)
    file.seek(0)
    simulation = hybrid(Says(False), schedule=Generate(), positions=False)
    simulation.loadCheckpoint(file)
    simulation.step(3 * FRAME)
    assert stretches(simulation)[-2:] == [(GENERATED, 2, 4, False), (INTEGRATED, 2, 3, True)]


def test_a_generator_that_gives_nothing_at_all_is_replaced_by_md():
    def fail(frames):
        raise GenerationError("nothing came out")

    simulation = hybrid(generator=TumblingGenerator(spoil=fail))
    simulation.step(9 * FRAME)
    assert {s.reason for s in simulation.segments if not s.accepted} == {"nothing came out"}
    assert is_real(simulation.segments, FRAME * np.arange(1, 10)).all()


def test_a_molecule_in_pieces_is_refused(monkeypatch):
    simulation = hybrid()
    relaxed = simulation._advance.engine.relaxed()
    relaxed[12:] += 3.0
    monkeypatch.setattr(Engine, "relaxed", lambda self: relaxed)
    with pytest.raises(StateError, match="make it whole"):
        simulation.step(FRAME)
    assert simulation.currentStep == 0


def test_an_energy_that_cannot_be_computed_is_not_a_number():
    class Measures(Says):
        def judge(self, trial):
            self.found = [trial.relaxed_energy(frame) for frame in (trial.frames[0], np.nan * trial.frames[0])]
            return super().judge(trial)

    simulation = hybrid(Measures(True))
    simulation.step(PERIOD)
    good, bad = simulation.gate.found
    assert np.isfinite(good) and np.isnan(bad)
