"""Time as a contract: which steps are frames, what is refused, and plain integration bit for bit."""

import math
import time
from dataclasses import dataclass

import mdtraj
import mdtraj.reporters
import numpy as np
import openmm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openmm import app, unit

from dipeptide import (
    FRAME,
    REFERENCE,
    Recorder,
    assert_same_state,
    langevin,
    plain_simulation,
    simulation_of,
    state_of,
)
from openmm_mdgen.errors import MDGenError, ReportIntervalError
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.gate import Gate
from openmm_mdgen.simulation.schedule import (
    Alternate,
    Generate,
    Integrate,
    Phase,
    WhileAccepted,
    require_end_on_frame,
    require_report_on_frame,
    steps_per_frame,
)


@given(steps=st.integers(1, 10**6), tenths=st.integers(1, 100))
def test_a_frame_of_whole_steps_is_counted_exactly(steps, tenths):
    step_size = tenths * 1e-4
    assert steps_per_frame(steps * step_size, step_size) == steps


@given(frame_interval=st.sampled_from([0.1, 1.0, 10.0, 100.0]), step_size=st.floats(1e-4, 0.05))
def test_a_refused_step_size_comes_with_ones_that_work(frame_interval, step_size):
    try:
        steps = steps_per_frame(frame_interval, step_size)
    except ReportIntervalError as error:
        offered = str(error).split("use a step size of ")[1].removesuffix(" ps").split(" or ")
        assert offered
        for size in map(float, offered):
            assert math.isclose(steps_per_frame(frame_interval, size) * size, frame_interval, rel_tol=1e-9)
    else:
        assert math.isclose(steps * step_size, frame_interval, rel_tol=1e-5)


def test_the_offered_step_sizes_are_the_nearest():
    with pytest.raises(ReportIntervalError, match="0.0025 or 0.0032 ps"):
        steps_per_frame(10.0, 0.003)


@given(start=st.integers(0, 50), steps=st.integers(1, 10**5), frame=st.integers(2, 5000))
def test_an_end_between_frames_is_refused_and_the_steps_named_are_accepted(start, steps, frame):
    if steps % frame == 0:
        require_end_on_frame(start, start + steps, frame)
        return
    with pytest.raises(ReportIntervalError) as caught:
        require_end_on_frame(start, start + steps, frame)
    named = [int(word) for word in str(caught.value).split("take ")[1].split() if word.isdigit()]
    assert min(abs(n - steps) for n in named) < frame
    for n in named:
        require_end_on_frame(start, start + n, frame)


def test_a_report_between_frames_names_the_nearest_intervals():
    require_report_on_frame("DCDReporter", 20, 40, 10)
    with pytest.raises(ReportIntervalError, match="DCDReporter reports next at step 25.* 20 or 30 steps"):
        require_report_on_frame("DCDReporter", 0, 25, 10)
    with pytest.raises(ReportIntervalError, match="at step 1015.* of 10 or 20 steps"):
        require_report_on_frame("DCDReporter", 1000, 1015, 10)
    with pytest.raises(ReportIntervalError, match="stands between frames, at step 3"):
        require_report_on_frame("DCDReporter", 3, 20, 10)


@pytest.mark.parametrize("steps", [FRAME - 1, FRAME + 1, 1])
def test_steps_that_end_between_frames_generate_nothing(steps):
    simulation = simulation_of()
    with pytest.raises(ReportIntervalError, match=f"{steps} steps"):
        simulation.step(steps)
    assert simulation.generator.propagators == [] and simulation.currentStep == 0


@pytest.mark.parametrize("interval", [FRAME - 1, FRAME // 2, FRAME + 5, 1000 * FRAME + 1])
def test_a_reporter_between_frames_generates_nothing_and_writes_nothing(interval):
    simulation = simulation_of()
    simulation.reporters.append(Recorder(FRAME))
    simulation.reporters.append(Recorder(interval))
    with pytest.raises(ReportIntervalError, match="Recorder"):
        simulation.step(4 * FRAME)
    assert simulation.generator.propagators == [] and simulation.reporters[0].frames == []


def test_a_step_count_between_frames_is_explained():
    simulation = simulation_of()
    simulation.currentStep = 3
    simulation.reporters.append(Recorder(FRAME))
    with pytest.raises(ReportIntervalError, match="currentStep"):
        simulation.step(FRAME)
    simulation.currentStep = 2 * FRAME
    simulation.step(FRAME)
    assert len(simulation.reporters[0].frames) == 1


def test_a_step_size_changed_to_one_that_does_not_divide_is_refused():
    simulation = simulation_of()
    simulation.integrator.setStepSize(0.003)
    with pytest.raises(ReportIntervalError, match="0.003 ps"):
        simulation.step(FRAME)
    simulation.integrator.setStepSize(0.004)
    simulation.step(FRAME // 2)
    assert state_of(simulation)[:2] == (FRAME // 2, pytest.approx(0.02))


def test_odd_arguments_of_step_are_taken_as_in_openmm():
    simulation = simulation_of()
    simulation.step(0)
    simulation.step(np.int64(FRAME))
    with pytest.raises(TypeError):
        simulation.step(2.5)
    assert simulation.currentStep == FRAME


def test_the_step_size_has_to_divide_the_frame():
    with pytest.raises(ReportIntervalError, match="0.0025 or 0.004 ps"):
        simulation_of(integrator=langevin(step_size=0.003))


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: _compound(x)])
def test_an_integrator_without_a_fixed_step_is_refused(wrap):
    with pytest.raises(MDGenError, match="VariableVerletIntegrator has no fixed step size"):
        simulation_of(integrator=wrap(openmm.VariableVerletIntegrator(0.001)))


def test_the_clock_is_looked_at_between_frames():
    simulation = simulation_of()
    simulation.step(FRAME)
    recorder = Recorder(FRAME)
    simulation.reporters.append(recorder)
    begin = time.monotonic()
    simulation.runForClockTime(1.0 * unit.seconds)
    assert 0.9 < time.monotonic() - begin < 3
    assert simulation.currentStep == (1 + len(recorder.frames)) * FRAME > 20


def test_integrate_equals_openmm_bit_for_bit(tmp_path):
    ran = {}
    # One after the other: contexts of the Reference platform share one stream of random numbers.
    for name, make in {"plain": plain_simulation, "ours": lambda: simulation_of(schedule=Integrate())}.items():
        simulation = ran[name] = make()
        simulation.context.setVelocitiesToTemperature(300, 3)
        files = str(tmp_path / name)
        simulation.reporters.append(app.DCDReporter(files + ".dcd", 7))
        simulation.reporters.append(app.PDBReporter(files + ".pdb", 20))
        simulation.reporters.append(app.StateDataReporter(files + ".csv", 3, step=True, time=True, totalEnergy=True))
        simulation.reporters.append(app.CheckpointReporter(files + ".chk", 4))
        simulation.reporters.append(mdtraj.reporters.DCDReporter(files + ".mdtraj.dcd", 6))
        simulation.step(13)
        simulation.step(29)
        simulation.saveState(files + ".xml")
        simulation.reporters.pop().close()
        simulation.reporters.clear()
    assert ran["ours"].generator is None and ran["ours"].seed is None
    assert_same_state(ran["plain"], ran["ours"])
    for suffix, dated in {"dcd": 276, "pdb": 100, "csv": 0, "chk": 0, "xml": 0}.items():  # bytes that hold the date
        plain, ours = ((tmp_path / f"{name}.{suffix}").read_bytes()[dated:] for name in ran)
        assert plain == ours and plain, suffix
    frames = [mdtraj.load(str(tmp_path / f"{name}.mdtraj.dcd"), top=str(tmp_path / "ours.pdb")).xyz for name in ran]
    np.testing.assert_array_equal(*frames)
    assert len(frames[0]) == 7


def test_the_schedule_can_be_set_to_integrate_for_a_while():
    simulation = simulation_of()
    simulation.step(FRAME)
    simulation.schedule = Integrate()
    simulation.step(FRAME + 3)
    assert len(simulation.generator.propagators[0].calls) == 1
    simulation = simulation_of(schedule=Integrate())
    simulation.schedule = Generate()
    with pytest.raises(MDGenError, match="make another with schedule=Generate"):
        simulation.step(FRAME)


def test_integrate_loads_no_generator_and_takes_any_topology():
    system = openmm.System()
    system.addParticle(1.0)
    simulation = MDGenSimulation(
        app.Topology(), system, openmm.VerletIntegrator(0.1), REFERENCE, generator="nothing", schedule=Integrate()
    )
    simulation.context.setPositions(np.zeros((1, 3)))
    simulation.step(3)
    assert simulation.currentStep == 3


@dataclass(frozen=True)
class IntegrateThenGenerate:
    """15 steps of MD, then generated ones, and again."""

    generated: int = 3 * FRAME
    generates = True

    def phase(self, step, step_size):
        period = 15 + self.generated
        begin = step // period * period
        integrating = step - begin < 15
        return Phase(not integrating, begin + (15 if integrating else period))


def test_phases_go_on_across_calls_reports_and_checkpoints(tmp_path):
    whole = simulation_of(schedule=IntegrateThenGenerate())
    recorder = Recorder(5)
    whole.reporters.append(recorder)
    with pytest.raises(ReportIntervalError):  # reports every 5 steps suit the integrated phase alone
        whole.step(90)
    assert whole.currentStep == 15
    recorder.interval = 45
    whole.step(75)
    parts = simulation_of(schedule=IntegrateThenGenerate())
    parts.step(7)
    parts.step(8 + FRAME)
    parts.saveCheckpoint(str(tmp_path / "a.chk"))
    parts.step(90)
    parts.loadCheckpoint(str(tmp_path / "a.chk"))
    parts.step(2 * FRAME + 45)
    assert_same_state(whole, parts)
    assert [len(p.calls) for p in whole.generator.propagators] == [2]
    assert [state.getStepCount() for state in recorder.frames][-2:] == [45, 90]


def test_a_generating_phase_has_to_be_whole_frames():
    simulation = simulation_of(schedule=IntegrateThenGenerate(generated=2 * FRAME + 1))
    simulation.step(15)
    with pytest.raises(ReportIntervalError, match="21 steps do not end on a generated frame"):
        simulation.step(100)
    assert not any(propagator.calls for propagator in simulation.generator.propagators)  # bound, nothing generated


def _compound(integrator):
    compound = openmm.CompoundIntegrator()
    compound.addIntegrator(integrator)
    return compound


def test_alternate_finds_its_phase_from_the_step_count_alone():
    schedule = Alternate(integrate=50 * unit.picosecond, generate=1 * unit.nanosecond)
    assert schedule == Alternate(integrate=50.0, generate=1000.0)
    ends, step = [], 0
    for _ in range(4):
        phase = schedule.phase(step, 0.004)
        ends.append((phase.generates, phase.end_step))
        assert schedule.phase(phase.end_step - 1, 0.004) == phase == schedule.phase(step + 1, 0.004)
        step = phase.end_step
    assert ends == [(False, 12500), (True, 262500), (False, 275000), (True, 525000)]


def test_while_accepted_generates_and_names_its_retreat():
    phase = WhileAccepted(integrate=0.02 * unit.nanosecond).phase(12345, 0.002)
    assert phase == Phase(True, retreat_steps=10_000)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Alternate(integrate=0.0, generate=1.0), MDGenError, "integrate is 0.0: give a time above zero"),
        (lambda: Alternate(integrate=1.0, generate=-1 * unit.picosecond), MDGenError, "generate is -1 ps"),
        (lambda: WhileAccepted(integrate=math.nan), MDGenError, "above zero"),
        (lambda: Alternate(integrate=55, generate=100).check(10.0), ReportIntervalError, "integrate=55 ps.* 50 or 60"),
        (lambda: Alternate(integrate=10, generate=4).check(10.0), ReportIntervalError, "generate=4 ps.* use 10 ps"),
        (lambda: WhileAccepted(integrate=4).check(10.0), ReportIntervalError, "10 ps"),
    ],
)
def test_schedules_that_cannot_be_kept_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


class OnlyFrames:
    """A user's own schedule, with all members of ours."""

    generates, needs_gate = True, False
    checked = None

    def check(self, frame_interval):
        self.checked = frame_interval

    def phase(self, step, step_size):
        return Phase(generates=True)


def test_a_users_own_schedule_is_asked_as_ours_are():
    schedule = OnlyFrames()
    simulation = simulation_of(schedule=schedule)
    assert schedule.checked == simulation.generator.frame_interval and simulation.gate is None
    schedule.needs_gate = True
    assert isinstance(simulation_of(schedule=schedule).gate, Gate)
