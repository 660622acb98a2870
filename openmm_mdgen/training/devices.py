"""Where a training run is computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.settings import documented, require_valid, setting


def _accelerators() -> Iterable[str]:
    return ("auto", "cpu", "gpu")


@documented
@dataclass(frozen=True)
class Devices:
    """Where a run is computed; with several processes, each takes an equal part of every batch."""

    accelerator: str = setting(
        "auto",
        "Kind of device to train on; auto takes a GPU where there is one.",
        group="The run",
        choices=_accelerators,
    )
    devices: int = setting(
        1, "Number of devices on each node; they share every batch equally.", group="The run", minimum=1
    )
    nodes: int = setting(1, "Number of nodes of a cluster that train together.", group="The run", minimum=1)

    def __post_init__(self) -> None:
        require_valid(self)

    def require_there(self) -> None:
        """Raise `MDGenError` unless a GPU is there that was asked for."""
        import torch

        if self.accelerator == "gpu" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            raise MDGenError("accelerator is 'gpu', and torch finds none here: take 'auto' or 'cpu'")

    def trainer_options(self) -> dict[str, Any]:
        """Arguments of Lightning's `Trainer`."""
        several = self.devices * self.nodes > 1
        return {
            "accelerator": self.accelerator,
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": "ddp" if several else "auto",
            "precision": self._precision(),
        }

    def _precision(self) -> str:
        import torch

        on_gpu = self.accelerator != "cpu" and torch.cuda.is_available()
        return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
