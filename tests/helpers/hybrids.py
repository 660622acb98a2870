"""Hybrid runs of the small real system: a gate that says what it is told, and short landings."""

import os
import signal

from openmm import app

from dipeptide import FRAME, STEP_SIZE, Recorder, simulation_of
from openmm_mdgen.simulation import landing
from openmm_mdgen.simulation.gate import Gate, Verdict
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.schedule import Alternate

INTERVAL = FRAME * STEP_SIZE  # ps
SCHEDULE = Alternate(integrate=3 * INTERVAL, generate=6 * INTERVAL)  # segments of 4 and 2 frames
PERIOD = 9 * FRAME


class Says:
    """A gate that says what it is told, in turn and again, and remembers what it was shown."""

    def __init__(self, *accepted, retries=0):
        self.accepted, self.retries, self.trials = accepted, retries, []

    def judge(self, trial):
        accepted = self.accepted[len(self.trials) % len(self.accepted)]
        self.trials.append(trial)
        return Verdict(accepted, "" if accepted else "told so", {"relaxed_energy": float(len(self.trials))})


# Short landings and comparisons: what they are worth is tested elsewhere. Three frames tell nothing of a spread.
QUICK = LandingSettings(
    reference_frames=3, reference_interval=0.02, reference_delay=0.02, free_time=0.1, energy_deviations=1e6
)


def hybrid(gate=None, *, schedule=SCHEDULE, **options):
    return simulation_of(schedule=schedule, gate=gate or Says(True), landing=QUICK, **options)


def recorded(simulation, n_frames):
    recorder = Recorder(FRAME, include=["positions", "velocities"])
    simulation.reporters.append(recorder)
    simulation.step(n_frames * FRAME)
    return recorder


def stretches(simulation):
    """What was done, in frames: kind, start, length and whether it was accepted."""
    return [(s.kind, s.start_step // FRAME, s.steps // FRAME, s.accepted) for s in simulation.segments]


def run_until_killed(phase):
    """In a process of its own: a run with checkpoints that dies in this phase."""
    simulation = hybrid(Gate())
    simulation.reporters.append(app.CheckpointReporter("run.chk", 2 * FRAME))

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    if phase in ("integrate", "generate"):
        recorder = Recorder({"integrate": 11, "generate": 14}[phase] * FRAME)
        recorder.report = die
        simulation.reporters.append(recorder)
    simulation.step(4 * FRAME)
    if phase == "gate":
        Gate.judge = die
    if phase == "landing":
        landing.Lander.land = die
    simulation.step(16 * FRAME)
