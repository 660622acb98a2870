"""Generated molecular dynamics trajectories inside OpenMM.

>>> from openmm_mdgen import MDGenSimulation
>>> simulation = MDGenSimulation(topology, system, integrator)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openmm_mdgen.fine import FineGenerator
    from openmm_mdgen.gate import Gate
    from openmm_mdgen.generator import TrajectoryGenerator
    from openmm_mdgen.record import Summary
    from openmm_mdgen.reporters import MaskReporter, SegmentReporter
    from openmm_mdgen.schedule import Alternate, Generate, Integrate, WhileAccepted
    from openmm_mdgen.simulation import MDGenSimulation

__version__ = "0.1.0"
__all__ = [
    "Alternate",
    "FineGenerator",
    "Gate",
    "Generate",
    "Integrate",
    "MDGenSimulation",
    "MaskReporter",
    "SegmentReporter",
    "Summary",
    "TrajectoryGenerator",
    "WhileAccepted",
]

_HOMES = {
    "Alternate": "schedule",
    "FineGenerator": "fine",
    "Gate": "gate",
    "Generate": "schedule",
    "Integrate": "schedule",
    "MDGenSimulation": "simulation",
    "MaskReporter": "reporters",
    "SegmentReporter": "reporters",
    "Summary": "record",
    "TrajectoryGenerator": "generator",
    "WhileAccepted": "schedule",
}


def __getattr__(name: str) -> Any:
    # On first use: the facts and the command's help need neither torch nor OpenMM.
    if name in _HOMES:
        return getattr(import_module(f"openmm_mdgen.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'openmm_mdgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
