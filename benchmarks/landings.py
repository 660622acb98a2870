"""Measures temperature and energy in the 20 ps of real MD that follow a landing, beside plain MD.

    python benchmarks/landings.py [--water] [--landings N] SEQUENCE [SEQUENCE ...]

A landing prepares a generated frame for real MD: it is minimised under restraints, given velocities and thermalised.
Each run alternates between 20 ps of real MD and a generated segment that the gate accepted. A landing counts as stable
if the mean energy of the last 10 ps lies within the middle 99 % of single frames of plain MD. With `--water` the
peptide is in a box of TIP3P-FB at constant pressure, and a landing takes minutes on a CPU core.
"""

import argparse
import sys
from collections import Counter

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen import Alternate, MDGenSimulation
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed, solvated, thermal_energy
from shared import print_header, print_row, standard_error

AFTER, GENERATED = 20, 50  # ps
PLAIN = {False: 200, True: 160}  # ps of plain MD, by whether there is water
MOST_REJECTED = 4  # rejected segments for each landing, after which a sequence is given up
PICOSECOND = 250  # steps of 4 fs
CPU = openmm.Platform.getPlatform("CPU")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("sequences", nargs="+")
parser.add_argument("--water", action="store_true")
parser.add_argument("--landings", type=int, default=25)
options = parser.parse_args()


def observed(simulation: app.Simulation, picoseconds: int) -> np.ndarray:
    """(picoseconds, 2): temperature, K, and potential energy, kJ/mol, after each picosecond."""
    system = simulation.system
    degrees = 3 * sum(system.getParticleMass(k)._value > 0 for k in range(system.getNumParticles()))
    degrees -= system.getNumConstraints()
    if any(isinstance(force, openmm.CMMotionRemover) for force in system.getForces()):
        degrees -= 3
    rows = []
    for _ in range(picoseconds):
        simulation.step(PICOSECOND)
        state = simulation.context.getState(energy=True)
        rows.append(
            (2 * state.getKineticEnergy()._value / degrees / thermal_energy(1.0), state.getPotentialEnergy()._value)
        )
    return np.array(rows)


friction = 1.0 if options.water else 0.3
print_header("", "landings", "temperature after, K", "plain MD", "in the band", "rejected")
means, n_inside = [], 0
for sequence in options.sequences:
    topology, built = build_peptide(sequence, seed=1)
    positions = relaxed(topology, built)
    if options.water:
        topology, system, positions = solvated(topology, positions, edge=2.1)
    else:
        system = implicit_system(topology)
    plan = Alternate(integrate=AFTER * unit.picosecond, generate=GENERATED * unit.picosecond)
    plain = app.Simulation(topology, system, langevin(friction=friction, seed=2), CPU, {"Threads": "1"})
    plain.context.setPositions(positions)
    plain.minimizeEnergy(maxIterations=200)
    plain.context.setVelocitiesToTemperature(350 * unit.kelvin, 3)
    observed(plain, AFTER)
    equilibrium = observed(plain, PLAIN[options.water])
    low, high = np.percentile(equilibrium[:, 1], [0.5, 99.5])

    simulation = MDGenSimulation(
        topology, system, langevin(friction=friction, seed=4), CPU, {"Threads": "1"}, schedule=plan, seed=5
    )
    state = plain.context.getState(positions=True, velocities=True)
    simulation.context.setPeriodicBoxVectors(*state.getPeriodicBoxVectors())
    simulation.context.setPositions(state.getPositions())
    simulation.context.setVelocities(state.getVelocities())
    observed(simulation, AFTER)
    after, reasons, n_seen = [], Counter[str](), 0
    while len(after) < options.landings and reasons.total() < MOST_REJECTED * options.landings:
        simulation.step(GENERATED * PICOSECOND)
        found = observed(simulation, AFTER)
        new, n_seen = simulation.segments[n_seen:], len(simulation.segments)
        tried = [segment for segment in new if segment.kind == "generated"]
        if any(segment.accepted for segment in tried):
            after.append(found)
            print(f"{sequence} {len(after)}", end="\r", file=sys.stderr)
        else:
            reasons[tried[-1].reason] += 1
    runs = np.array(after).reshape(-1, AFTER, 2)
    inside = (runs[:, 10:, 1].mean(1) > low) & (runs[:, 10:, 1].mean(1) < high)
    warmth = runs[:, :, 0].mean(1)
    means += list(warmth)
    n_inside += int(inside.sum())
    own = equilibrium[:, 0].reshape(-1, AFTER).mean(1)
    temperatures = (f"{values.mean():.1f} ± {standard_error(values):.1f}" for values in (warmth, own))
    print_row(sequence, str(len(runs)), *temperatures, str(inside.sum()), str(reasons.total()))
    for reason, times in reasons.most_common(3):
        print(f"{times} segments of {sequence} rejected: {reason}", file=sys.stderr)
print(
    f"\n{n_inside} of {len(means)} in the band; {np.mean(means):.2f} ± {standard_error(means):.2f} K, "
    "with a thermostat of 350 K"
)
