import mdtraj

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.generators.design import frequencies
from openmm_mdgen.md.designed_peptides import PeptideBuilder

trajectory = mdtraj.load("md/AKLV_0/AKLV_0.xtc", top="md/AKLV_0/AKLV_0.pdb")  # a frame each 1 ps
generator = TrajectoryGenerator.load(task="inpainting")
designs = generator.inpaint(trajectory, samples=20, seed=1, accept_chance=True)
for sequence, count in frequencies(designs):
    print(sequence, count)

builder = PeptideBuilder(seed=1)
peptide = builder.all_atoms(designs[0])  # topology and minimised positions, for OpenMM
