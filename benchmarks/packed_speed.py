"""Measures what packing gains: real MD of 16 peptides, one at a time and all in one System, on all cores.

python benchmarks/packed_speed.py [PLATFORM]

The two are timed in turns, after their kernels were compiled, so that other work of the machine slows both alike.
PLATFORM is the name of OpenMM's platform (default: the fastest).
"""

import time

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.md.batched_gbn2 import can_compile
from openmm_mdgen.md.packed_system import Molecule, PackedSystem
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import fastest_platform, implicit_system, langevin, positions_of, relaxed
from shared import print_header, print_row, words

SEQUENCES = "AAKQ AEAF CRMN DIGN EKME FHLQ HEGV IKQG KDKI LQRL MHGM NWPN PIAC QASA SNCV TTLY".split()
STEP, ROUNDS, STEPS_ALONE, STEPS_PACKED = 0.004, 3, 500, 2000  # ps; steps of each peptide a round
given = words(__doc__, 0)
platform = openmm.Platform.getPlatformByName(given[0]) if given else fastest_platform()


def simulation(topology: app.Topology, system: openmm.System, positions: np.ndarray) -> app.Simulation:
    made = app.Simulation(topology, system, langevin(step_size=STEP, seed=1), platform)
    made.context.setPositions(positions)
    made.context.setVelocitiesToTemperature(350, 1)
    made.step(250)
    return made


def timed(made: app.Simulation, steps: int) -> float:
    begin = time.perf_counter()
    made.step(steps)
    made.context.getState(energy=True)  # a GPU is asked to be done
    return time.perf_counter() - begin


peptides = []
for sequence in SEQUENCES:
    topology, built = build_peptide(sequence, seed=1)
    peptides.append((topology, relaxed(topology, built)))
alone = [simulation(topology, implicit_system(topology), positions) for topology, positions in peptides]
packed = PackedSystem([Molecule(*p) for p in peptides], batched=platform.getName() == "CPU" and can_compile())
together = simulation(packed.topology, packed.system, packed.positions)

DAY = unit.day.conversion_factor_to(unit.second)
print(f"{platform.getName()}; nanoseconds a day, summed over {len(SEQUENCES)} peptides\n")
print_header("one at a time", "packed", "ratio")
ratios = []
for _ in range(ROUNDS):
    seconds = sum(timed(one, STEPS_ALONE) for one in alone)
    slow = len(alone) * STEPS_ALONE * STEP / 1000 / seconds * DAY
    together.context.setPositions(packed.recentred(positions_of(together.context)))
    fast = len(alone) * STEPS_PACKED * STEP / 1000 / timed(together, STEPS_PACKED) * DAY
    ratios.append(fast / slow)
    print_row(f"{slow:.0f}", f"{fast:.0f}", f"{ratios[-1]:.2f}")
print_row("", "median", f"{np.median(ratios):.2f}")
