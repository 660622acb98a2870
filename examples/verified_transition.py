"""A transition of a peptide: generated, then led in real MD, then judged by committors.

python examples/verified_transition.py [SEQUENCE]

1. A generated trajectory shows the two states between which the molecule is slowest.
2. Generated paths from one to the other become one path: progress and distance along it.
3. A force along the path leads real MD over; windows give the free energy.
4. Shots of real MD from frames of the windows tell what share reaches the end before the start: the committor.

Minutes on a laptop. Writes verified_transition.png.
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import openmm
from openmm import app

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.commands.terminal import progress_bar
from openmm_mdgen.data.swarm import Swarm
from openmm_mdgen.steering import TorsionSpace, TransitionPath, free_energy, path_force, pull, sample_windows, shoot
from openmm_mdgen.steering.force import SPRING_CONSTANT
from openmm_mdgen.structure import build_peptide, implicit_system, langevin, relaxed

sequence = sys.argv[1] if len(sys.argv) > 1 else "GLIL"
TEMPERATURE, N_WINDOWS, N_SHOTS = 350.0, 12, 24
topology, built = build_peptide(sequence, seed=1)
positions = relaxed(topology, built)

seen = TrajectoryGenerator.load().rollout(topology, positions, 3000, seed=1)
states = PathReference.fit(seen, definitions=Definitions.SOUND, n_clusters=50, n_states=2)
slow = states.tica.project(measure(seen).torsions.sound())[:, 0]
typical = [slow[states.states.labels == k].mean() for k in (0, 1)]
first, last = (seen.xyz[int(np.abs(slow - place).argmin())] for place in typical)
generator = TrajectoryGenerator.load(task="interpolation")
paths = generator.interpolate(topology, first, last, paths=16, seed=1)
path = TransitionPath.through(TorsionSpace.backbone(seen.topology), paths)

system = implicit_system(topology)
system.addForce(path_force(path))
simulation = app.Simulation(topology, system, langevin(temperature=TEMPERATURE, seed=1))
simulation.context.setPositions(first)
openmm.LocalEnergyMinimizer.minimize(simulation.context)
simulation.context.setVelocitiesToTemperature(TEMPERATURE, 1)
simulation.step(2500)
led = pull(simulation, path, time=100.0)
print(f"led in 100 ps from {led.progress[0]:.2f} to {led.progress[-1]:.2f}, with {led.work[-1]:.1f} kJ/mol of work")

centres = np.linspace(0, 1, N_WINDOWS)
with progress_bar("held", N_WINDOWS, "windows") as advance:
    windows = sample_windows(simulation, path, led.trajectory.xyz, centres=centres, time=40.0, progress=advance)
profile = free_energy(windows, spring=SPRING_CONSTANT, temperature=TEMPERATURE)
print(f"barrier {np.nanmax(profile.energy[2:-2]):.1f} kJ/mol; windows overlap by at least {profile.overlap.min():.2f}")

frames, places = [], []
for window in windows:
    middle = int(np.abs(window.progress - window.centre).argmin())
    frames.append(window.frames[middle])
    places.append(float(window.progress[middle]))


def progress_of(frame: np.ndarray) -> float:
    return float(path.along(frame[None])[0][0])


with progress_bar("shot", len(frames) * N_SHOTS, "shots") as advance:
    committor = shoot(
        Swarm(topology, positions, temperature=TEMPERATURE),
        np.array(frames),
        is_start=lambda frame: progress_of(frame) < 0.15,
        is_end=lambda frame: progress_of(frame) > 0.85,
        n_shots=N_SHOTS,
        longest=40.0,
        progress=advance,
    )
print("\n| progress | committor | 95 % | undecided |\n|---|---|---|---|")
low, high = committor.interval
for row in zip(places, committor.probability, low, high, committor.n_undecided, strict=True):
    print("| {:.2f} | {:.2f} | {:.2f} to {:.2f} | {} |".format(*row))

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(5, 6))
above.errorbar(profile.progress, profile.energy, profile.error, fmt="o-", capsize=2)
above.set_ylabel("free energy, kJ/mol")
p = committor.probability
below.errorbar(places, p, [np.maximum(p - low, 0), np.maximum(high - p, 0)], fmt="o-", capsize=2)
below.axhline(0.5, color="0.7", lw=1)
below.set(xlabel=f"progress along the path of {sequence}", ylabel="committor")
figure.tight_layout()
figure.savefig("verified_transition.png", dpi=150)
