"""Counts how many frames of real MD the gate rejects. With its default thresholds it should reject none.

    python benchmarks/gate_on_real_md.py FRAMES MD.pdb MD.xtc [MD.pdb MD.xtc ...]

The gate is what judges generated segments in a hybrid run. Here it judges FRAMES frames of each trajectory, evenly
spread, one at a time, against the relaxed energies of 20 others. Give each run by itself: where runs were joined, two
hydrogens of one carbon may have exchanged their names, which the gate takes for a change of handedness.
"""

from pathlib import Path

import numpy as np
import openmm

from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed
from openmm_mdgen.simulation.gate import Gate, Molecule, Trial
from openmm_mdgen.simulation.landing import Lander
from shared import words

given = words(__doc__, 3)
n_frames, files = int(given[0]), [Path(name) for name in given[1:]]
gate, n_judged, reasons = Gate(), 0, []
for pdb, xtc in zip(files[::2], files[1::2], strict=True):
    topology, positions = load_structure(pdb, seed=0)
    moved, start = np.arange(topology.getNumAtoms()), relaxed(topology, positions)
    molecule, system = Molecule.measure(topology, moved, start), implicit_system(topology)
    context = openmm.Context(system, langevin(), openmm.Platform.getPlatform("CPU"), {"Threads": "1"})
    context.setPositions(start)
    heavy = moved[~molecule.is_hydrogen]
    lander = Lander(context, system, moved, heavy, temperature=350.0, step_size=0.004, properties={"Threads": "1"})

    def energy(frame: np.ndarray, lander: Lander = lander) -> float:
        return lander.relaxed(frame)[1]

    frames = read_md(pdb, xtc).xyz.astype(float)
    frames = frames[np.linspace(0, len(frames) - 1, n_frames + 20).astype(int)]
    others = np.arange(20) * len(frames) // 20
    energies = np.array([energy(frames[k]) for k in others])
    for frame in np.delete(frames, others, axis=0):
        verdict = gate.judge(Trial(molecule, frame, frame[None], energy, energies))
        n_judged += 1
        if not verdict.accepted:
            reasons.append(f"{pdb.stem}: {verdict.reason}")
print(f"{len(reasons)} of {n_judged} real frames rejected", *reasons[:10], sep="\n")
