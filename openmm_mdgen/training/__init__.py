"""Training of the velocity network on real trajectories.

A *step* is one update of the weights from one global batch of windows. The batch, its noise and its flow times are
functions of the seed and the step alone, so a run that is stopped and taken up again sees what it would have seen.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from openmm_mdgen.arguments import require_package

if TYPE_CHECKING:
    from openmm_mdgen.training.config import FineTuningConfig, RunOptions, TrainingConfig
    from openmm_mdgen.training.devices import Devices
    from openmm_mdgen.training.fine_tuning import FineTuned, fine_tune
    from openmm_mdgen.training.initial_flow import token_scales
    from openmm_mdgen.training.run import require_writable, train

__all__ = [
    "Devices",
    "FineTuned",
    "FineTuningConfig",
    "RunOptions",
    "TrainingConfig",
    "fine_tune",
    "require_writable",
    "token_scales",
    "train",
]

_NEED_LIGHTNING = ("fine_tuning", "run")
_HOMES = {
    "Devices": "devices",
    "FineTuned": "fine_tuning",
    "FineTuningConfig": "config",
    "RunOptions": "config",
    "TrainingConfig": "config",
    "fine_tune": "fine_tuning",
    "require_writable": "run",
    "token_scales": "initial_flow",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    # On first use: a command's options are made from the settings, which need neither torch nor Lightning.
    if name in _HOMES:
        if _HOMES[name] in _NEED_LIGHTNING:
            require_lightning()
        return getattr(import_module(f"openmm_mdgen.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'openmm_mdgen.training' has no attribute {name!r}")


def require_lightning() -> None:
    """Raise `MissingPackageError` unless the packages that training needs are installed."""
    for module, name in (("lightning.pytorch", "lightning"), ("yaml", "pyyaml")):
        require_package(module, f"training needs {name}: pip install 'openmm_mdgen[train]'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
