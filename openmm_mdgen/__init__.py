"""Generated molecular dynamics trajectories inside OpenMM.

>>> from openmm_mdgen import MDGenSimulation
>>> simulation = MDGenSimulation(topology, system, integrator)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openmm_mdgen.generator import TrajectoryGenerator
    from openmm_mdgen.schedule import Generate, Integrate
    from openmm_mdgen.simulation import MDGenSimulation

__version__ = "0.1.0"
__all__ = ["Generate", "Integrate", "MDGenSimulation", "TrajectoryGenerator"]

_HOMES = {
    "Generate": "schedule",
    "Integrate": "schedule",
    "MDGenSimulation": "simulation",
    "TrajectoryGenerator": "generator",
}


def __getattr__(name: str) -> Any:
    # On first use: the facts and the command's help need neither torch nor OpenMM.
    if name in _HOMES:
        return getattr(import_module(f"openmm_mdgen.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'openmm_mdgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
