from openmm_mdgen.analysis import TrajectoryFile, evaluate

evaluation = evaluate(
    TrajectoryFile("traj.dcd", "traj.pdb"), TrajectoryFile("md/AKLV_0/AKLV_0.xtc", "md/AKLV_0/AKLV_0.pdb")
)
print(evaluation)  # all numbers with their names, as the command prints them
print(evaluation.jsd.torsions_all)  # 0 equal, 0.83 disjoint; a NotDefined says why there is no number
print(evaluation.equivalent_md_time)
