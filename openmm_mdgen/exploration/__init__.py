"""Exploration with a generator, decided by real MD: many short runs and a Markov model of them."""

from openmm_mdgen.exploration.generated import generated_frames
from openmm_mdgen.exploration.kinetics import Estimate, Kinetics
from openmm_mdgen.exploration.rounds import Exploration, Plan
from openmm_mdgen.exploration.workers import SharedRuns

__all__ = ["Estimate", "Exploration", "Kinetics", "Plan", "SharedRuns", "generated_frames"]
