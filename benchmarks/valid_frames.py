"""Counts generated frames that are whole molecules, for weights of forward simulation and any peptides; needs no MD.

python benchmarks/valid_frames.py WEIGHTS [--frames 500] [SEQUENCE ...]

Sequences have free termini (AKLV) or caps (ACE-AKLV-NME); the default is twenty of 1 to 10 residues. Whole are frames
without clash, chain break and wrong handedness. No bond, hydrogens too, may be longer than a bond can be, and rings of
proline have to be closed with their hydrogens; both are counted apart. Segments that the generator itself calls invalid
are drawn anew, as in every rollout.
"""

import argparse

import mdtraj
import numpy as np
from rich.progress import track

from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import GeometryCounter
from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.generators.registry import loaded
from openmm_mdgen.generators.rollouts import stream
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from shared import print_header, print_row, shown

SEQUENCES = (
    "ACE-A-NME ACE-W-NME ACE-P-NME VK RP ACE-FH-NME RGD PGP ACE-KDE-NME CFEE PIDV NWWG RPKP ACE-AAAA-NME YGGFM "
    "ACE-KLVFF-NME VVIAPG DRVYIHPF PPGFSPFR GYDPETGTWG"
).split()
COLUMNS = {"valid": "whole", "without_clash": "no clash", "unbroken": "no broken bond", "rings": "proline closed"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("weights", help="name or file of the weights")
parser.add_argument("sequences", nargs="*", default=SEQUENCES)
parser.add_argument("--frames", type=int, default=500, help="of each peptide, %(default)s")
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
generator = loaded(options.weights)

rows, found = [], []
for sequence in track(options.sequences, "generating"):
    topology, built = build_peptide(sequence, seed=options.seed)
    try:
        generator.check(topology)
    except UnsupportedTopologyError as error:
        print(f"{sequence} is left out: {error}")
        continue
    chunks = stream(generator, topology, relaxed(topology, built), options.frames, seed=options.seed)
    xyz = np.concatenate([chunk[0] for chunk in chunks]).astype(np.float32)
    counter = GeometryCounter(mdtraj.Topology.from_openmm(topology).subset(chunks.atom_indices))
    counter.add(xyz)
    found.append(counter.result())
    rows.append((sequence, chunks.redraws))

print_header("peptide", *COLUMNS.values(), "segments drawn anew")
for (sequence, redraws), geometry in zip(rows, found, strict=True):
    print_row(sequence, *(shown(getattr(geometry, name), ".1%") for name in COLUMNS), str(redraws))
closed = [geometry.rings for geometry in found if not isinstance(geometry.rings, NotDefined)]
means = [np.mean([getattr(geometry, name) for geometry in found]) for name in list(COLUMNS)[:3]]
print_row("mean", *(f"{x:.2%}" for x in means), f"{np.mean(closed):.2%}" if closed else "", "")
