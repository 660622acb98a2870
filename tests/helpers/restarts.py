"""A run that is killed, and one that goes on after it; each in a process of its own."""

import os
import signal

import numpy as np
from openmm import app

from dipeptide import FRAME, Recorder, simulation_of


class _Kill:
    """A reporter that ends the process as a power cut would."""

    def describeNextReport(self, simulation):
        return {"steps": 8 * FRAME - simulation.currentStep % (8 * FRAME), "periodic": None, "include": []}

    def report(self, simulation, state):
        os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed():
    simulation = simulation_of()
    simulation.reporters.append(app.CheckpointReporter("run.chk", 6 * FRAME))
    simulation.reporters.append(_Kill())
    simulation.step(14 * FRAME)


def run_on():
    simulation, recorder = simulation_of(seed=0, positions=False), Recorder(FRAME)
    simulation.loadCheckpoint("run.chk")
    simulation.reporters.append(recorder)
    simulation.step(14 * FRAME - simulation.currentStep)
    np.save("rest.npy", recorder.positions())
