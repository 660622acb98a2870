"""Generated molecular dynamics trajectories inside OpenMM.

>>> from openmm_mdgen import MDGenSimulation
>>> simulation = MDGenSimulation(topology, system, integrator)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openmm_mdgen.generators.fine import FineGenerator
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.simulation.drop_in import MDGenSimulation
    from openmm_mdgen.simulation.gate import Gate
    from openmm_mdgen.simulation.landing_settings import LandingSettings
    from openmm_mdgen.simulation.record import Summary
    from openmm_mdgen.simulation.reporters import MaskReporter, SegmentReporter
    from openmm_mdgen.simulation.schedule import Alternate, Generate, Integrate, WhileAccepted

__version__ = "0.1.0"
__all__ = [
    "Alternate",
    "FineGenerator",
    "Gate",
    "Generate",
    "Integrate",
    "LandingSettings",
    "MDGenSimulation",
    "MaskReporter",
    "SegmentReporter",
    "Summary",
    "TrajectoryGenerator",
    "WhileAccepted",
]

_HOMES = {
    "Alternate": "simulation.schedule",
    "FineGenerator": "generators.fine",
    "Gate": "simulation.gate",
    "Generate": "simulation.schedule",
    "Integrate": "simulation.schedule",
    "LandingSettings": "simulation.landing_settings",
    "MDGenSimulation": "simulation.drop_in",
    "MaskReporter": "simulation.reporters",
    "SegmentReporter": "simulation.reporters",
    "Summary": "simulation.record",
    "TrajectoryGenerator": "generators.trajectory",
    "WhileAccepted": "simulation.schedule",
}


def __getattr__(name: str) -> Any:
    # On first use: the facts and the command's help need neither torch nor OpenMM.
    if name in _HOMES:
        return getattr(import_module(f"openmm_mdgen.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'openmm_mdgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
