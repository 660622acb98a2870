"""`MDGenSimulation` and what it is made of: OpenMM's Simulation, advanced by a trajectory generator."""

from openmm_mdgen.simulation.drop_in import MDGenSimulation

__all__ = ["MDGenSimulation"]
