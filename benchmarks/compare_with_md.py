"""Compares generated trajectories with real MD, beside shorter stretches of that MD.

python benchmarks/compare_with_md.py FOLDER [WEIGHTS] [NANOSECONDS] [DEVICE]

FOLDER holds NAME.pdb and NAME.xtc of each peptide, which the weights should not have been trained on. The first
nanosecond of a trajectory gives the stretches of 100 ps and 1 ns; the rest is the reference. The script prints mean
distances between torsion distributions: 0 where they are equal, 0.83 where they are disjoint.
"""

import sys
import time
from pathlib import Path

import mdtraj
import numpy as np
from openmm.app import PDBFile
from rich.progress import track

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis import mean_torsion_distances, torsion_distances
from openmm_mdgen.md.systems import relaxed
from shared import print_header, print_row

folder = Path(sys.argv[1])
weights = sys.argv[2] if len(sys.argv) > 2 else None
nanoseconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
generator = TrajectoryGenerator.load(weights, device=sys.argv[4] if len(sys.argv) > 4 else "auto")
n_frames = round(nanoseconds * 1000 / generator.frame_interval)

rows, seconds, peptide_bonds, md_bonds = {}, 0.0, [], []
for pdb in track(sorted(folder.glob("*.pdb")), "comparing"):
    structure = PDBFile(str(pdb))
    md = mdtraj.load(str(pdb.with_suffix(".xtc")), top=str(pdb))
    frames_per_ns = round(1000 / md.timestep)
    reference = md[frames_per_ns:]
    positions = relaxed(structure.topology, structure.positions)
    start = time.perf_counter()
    generated = generator.rollout(structure.topology, positions, n_frames, seed=1)
    seconds += time.perf_counter() - start
    rows[pdb.stem] = [
        mean_torsion_distances(torsion_distances(trajectory, reference))
        for trajectory in (generated, md[: frames_per_ns // 10], md[:frames_per_ns])
    ]
    links = [(bond[0].index, bond[1].index) for bond in md.topology.bonds if bond[0].residue is not bond[1].residue]
    peptide_bonds.append(mdtraj.compute_distances(generated, links, periodic=False))
    md_bonds.append(mdtraj.compute_distances(reference, links, periodic=False))

columns = (f"generated, {nanoseconds:g} ns", "MD, 100 ps", "MD, 1 ns")
print(f"reference: {len(reference) * md.timestep / 1000:.2f} ns a peptide; backbone / side chains / all\n")
print_header("peptide", *columns)
for name, means in rows.items():
    print_row(name, *(f"{m.backbone:.3f} / {m.sidechain:.3f} / {m.all:.3f}" for m in means))
overall = np.array(list(rows.values())).mean(axis=0)
print_row("mean", *(" / ".join(f"{x:.3f}" for x in row) for row in overall))
for label, bonds in (("generated", peptide_bonds), ("MD", md_bonds)):
    lengths = np.concatenate([b.ravel() for b in bonds])
    print(f"peptide bond C-N, {label}: {lengths.mean():.4f} nm, standard deviation {lengths.std():.4f}")
print(f"{nanoseconds * len(rows) / seconds:.2f} ns generated a second")
