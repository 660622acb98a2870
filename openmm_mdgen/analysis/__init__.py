"""Comparison of trajectories with real MD."""

from openmm_mdgen.analysis.torsions import (
    TorsionMeans,
    mean_torsion_distances,
    torsion_distances,
    torsion_histograms,
    torsions,
)

__all__ = ["TorsionMeans", "mean_torsion_distances", "torsion_distances", "torsion_histograms", "torsions"]
