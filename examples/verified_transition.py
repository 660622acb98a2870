"""A transition of a peptide: generated, pulled over in real MD, and tested by committors.

    python examples/verified_transition.py SEQUENCE [FIGURE.png] [--quick]

Takes some ten minutes on two CPU cores, a minute with --quick, which verifies nothing. Needs
`pip install 'openmm_mdgen[steering]'`.

1. A generated trajectory shows the two states between which the molecule moves most slowly, and the torsions in which
   they differ.
2. Generated paths from one state to the other become one path. It gives each frame its progress along the path and its
   distance from it.
3. A force along the path pulls real MD over; umbrella windows along it give the free energy.
4. Short runs of real MD from frames of the windows give the committor: the share that reaches the end before the start.

FIGURE.png (default: verified_transition.png) shows the free energy and the committors.
"""

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import openmm
from openmm import app

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import Definitions
from openmm_mdgen.analysis.interpolation import PathReference
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed
from openmm_mdgen.progress import progress_bar
from openmm_mdgen.steering import (
    TorsionSpace,
    TransitionPath,
    free_energy,
    path_force,
    pull,
    require_pymbar,
    sample_windows,
    shoot,
)
from openmm_mdgen.steering.force import SPRING_CONSTANT

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("sequence", help="one-letter codes, such as CACS")
parser.add_argument("figure", nargs="?", default="verified_transition.png", type=Path)
parser.add_argument("--quick", action="store_true", help="few and short runs of real MD")
options = parser.parse_args(sys.argv[1:] or ["--help"])
sequence, TEMPERATURE = options.sequence, 350.0
N_PATHS, N_WINDOWS, N_FRAMES, N_SHOTS = (4, 5, 2, 4) if options.quick else (16, 12, 8, 8)
PULL, SETTLE, SAMPLE, LONGEST = (4.0, 0.4, 2.0, 2.0) if options.quick else (100.0, 10.0, 40.0, 40.0)  # ps
AT_END, NEAR_PATH = 0.15, 0.5  # a frame is in a state within this progress of its end, and this distance of the path
require_pymbar()
topology, built = build_peptide(sequence, seed=1)
positions = relaxed(topology, built)

seen = TrajectoryGenerator.load().rollout(topology, positions, 3000, seed=1)
states = PathReference.fit(seen, definitions=Definitions.SOUND, n_clusters=50, n_states=2)
ends = [seen[states.states.labels == state] for state in (0, 1)]
space = TorsionSpace.between(*ends)
for quadruple in space.atoms[space.quadruples].tolist():
    print("turns:", " ".join(str(seen.topology.atom(atom)) for atom in quadruple))
first, last = (space.typical(end).xyz[0] for end in ends)
paths = TrajectoryGenerator.load(task="interpolation").interpolate(topology, first, last, paths=N_PATHS, seed=1)
path = TransitionPath.through(space, paths)

system = implicit_system(topology)
system.addForce(path_force(path))
simulation = app.Simulation(topology, system, langevin(temperature=TEMPERATURE, seed=1))
simulation.context.setPositions(first)
openmm.LocalEnergyMinimizer.minimize(simulation.context)
simulation.context.setVelocitiesToTemperature(TEMPERATURE, 1)
simulation.step(2500)
pulled = pull(simulation, path, time=PULL)
print(
    f"pulled in {PULL:g} ps from {pulled.progress[0]:.2f} to {pulled.progress[-1]:.2f}, "
    f"with {pulled.work[-1]:.1f} kJ/mol of work"
)

centres = np.linspace(0, 1, N_WINDOWS)
with progress_bar("sampling windows", N_WINDOWS, "windows") as advance:
    windows = sample_windows(
        simulation,
        path,
        pulled.trajectory.xyz,
        centres=centres,
        time=SAMPLE,
        equilibration=SETTLE,
        progress=advance,
    )
profile = free_energy(windows, spring=SPRING_CONSTANT, temperature=TEMPERATURE)
print(f"barrier {np.nanmax(profile.energy[2:-2]):.1f} kJ/mol; windows overlap by at least {profile.overlap.min():.2f}")

nearest = [np.abs(window.progress - window.centre).argsort()[:N_FRAMES] for window in windows]
frames = np.concatenate([window.frames[chosen] for window, chosen in zip(windows, nearest, strict=True)])
places = np.array([window.progress[chosen].mean() for window, chosen in zip(windows, nearest, strict=True)])


def is_at(end: int, frame: np.ndarray) -> bool:
    (progress,), (distance,) = path.along(frame[None])
    return bool(abs(progress - end) < AT_END and distance < NEAR_PATH)


with progress_bar("shooting", len(frames) * N_SHOTS, "shots") as advance:
    committor = shoot(
        Swarm(topology, positions, temperature=TEMPERATURE),
        frames,
        is_start=lambda frame: is_at(0, frame),
        is_end=lambda frame: is_at(1, frame),
        n_shots=N_SHOTS,
        longest=LONGEST,
        progress=advance,
    )
of_frames = committor.probability.reshape(N_WINDOWS, N_FRAMES)
mean = np.nanmean(of_frames, axis=1)
error = np.nanstd(of_frames, axis=1, ddof=1) / np.sqrt(np.isfinite(of_frames).sum(axis=1))
undecided = committor.n_undecided.reshape(N_WINDOWS, N_FRAMES).sum(axis=1)
print("\n| progress | committor, mean over frames | undecided |\n|---|---|---|")
for row in zip(places, mean, error, undecided, strict=True):
    print("| {:.2f} | {:.3f} ± {:.3f} | {} |".format(*row))

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(5, 6))
above.errorbar(profile.progress, profile.energy, profile.error, fmt="o-", capsize=2)
above.set_ylabel("free energy, kJ/mol")
below.plot(np.repeat(places, N_FRAMES), committor.probability, ".", color="0.7", label="a frame")
below.errorbar(places, mean, error, fmt="o-", capsize=2, label="mean")
below.axhline(0.5, color="0.7", lw=1)
below.legend(frameon=False)
below.set(xlabel=f"progress along the path of {sequence}", ylabel="committor")
figure.tight_layout()
figure.savefig(options.figure, dpi=150)
