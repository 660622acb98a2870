"""Real MD steered along a generated path: a force along it, pulls, free energies in windows, and committors."""

from openmm_mdgen.steering.committor import Committor, shoot
from openmm_mdgen.steering.force import path_force
from openmm_mdgen.steering.path import CoordinateSpace, TorsionSpace, TransitionPath
from openmm_mdgen.steering.pull import Pull, pull
from openmm_mdgen.steering.umbrella import Profile, Window, free_energy, require_pymbar, sample_windows

__all__ = [
    "Committor",
    "CoordinateSpace",
    "Profile",
    "Pull",
    "TorsionSpace",
    "TransitionPath",
    "Window",
    "free_energy",
    "path_force",
    "pull",
    "require_pymbar",
    "sample_windows",
    "shoot",
]
