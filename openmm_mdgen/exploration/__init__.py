"""Explore with a generator, decide with real MD: many short runs and a Markov model of them."""

from openmm_mdgen.exploration.kinetics import Estimate, Kinetics
from openmm_mdgen.exploration.rounds import Exploration, Plan
from openmm_mdgen.exploration.workers import SharedRuns

__all__ = ["Estimate", "Exploration", "Kinetics", "Plan", "SharedRuns"]
