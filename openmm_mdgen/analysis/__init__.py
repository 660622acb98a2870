"""Comparison of trajectories with real MD.

from openmm_mdgen.analysis import TrajectoryFile, evaluate

evaluation = evaluate(TrajectoryFile("generated.dcd", "generated.pdb"), TrajectoryFile("md.xtc", "md.pdb"))
print(evaluation.jsd.torsions_all, evaluation.equivalent_md_time)
"""

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.evaluation import evaluate
from openmm_mdgen.analysis.results import Evaluation
from openmm_mdgen.analysis.sources import TrajectoryFile
from openmm_mdgen.analysis.torsions import (
    TorsionMeans,
    TorsionSeries,
    mean_torsion_distances,
    torsion_distances,
    torsion_histograms,
    torsions,
)
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError

__all__ = [
    "Definitions",
    "Evaluation",
    "NotDefined",
    "TorsionMeans",
    "TorsionSeries",
    "TrajectoryFile",
    "UndefinedError",
    "evaluate",
    "mean_torsion_distances",
    "torsion_distances",
    "torsion_histograms",
    "torsions",
]
