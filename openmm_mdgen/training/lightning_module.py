"""One step of flow matching in the form that Lightning runs."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import asdict
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from openmm_mdgen.data import Windows
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.training.batches import Batches, channel_weights
from openmm_mdgen.training.config import TrainingConfig
from openmm_mdgen.training.optimizers import OPTIMIZERS

_EMA_WARMUP = 10  # steps
SETTINGS = "openmm_mdgen"  # key in a checkpoint of the configurations of the run and of the flow, as JSON


class FlowTraining(lightning.LightningModule):
    """The flow that is trained, and the exponential moving average of its weights, which is what is saved and used.

    Parameters
    ----------
    config : TrainingConfig
    windows : Windows
    flow : TrajectoryFlow
    """

    def __init__(self, config: TrainingConfig, windows: Windows, flow: TrajectoryFlow) -> None:
        super().__init__()
        self.config, self.windows = config, windows
        self.flow = flow.train().requires_grad_(True)
        self.mean = copy.deepcopy(flow).eval().requires_grad_(False)

    def on_fit_start(self) -> None:
        ranks = {"rank": self.global_rank, "n_ranks": self.trainer.world_size}
        self.batches = Batches(self.windows, self.flow.config, self.config.batch_size, self.config.seed, **ranks)
        self.channel_weights = channel_weights(self.flow.config, self.config.offset_weight).to(self.device)

    def training_step(self, step: int, batch_index: int) -> Tensor:
        batch = self.batches[self.global_step].to(self.device)
        weights = self.channel_weights
        return self.flow.loss(batch.frames, batch.noise, batch.t, batch.type_noise, channel_weights=weights).mean()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the weights and then their mean, so that callbacks after the step find both of that step."""
        super().optimizer_step(*args, **kwargs)
        with torch.no_grad():
            mean: list[Tensor] = list(self.mean.parameters())
            now: list[Tensor] = list(self.flow.parameters())
            # In the first steps a mean over all of them, so that the weights that a run began with do not stay in it.
            decay = min(self.config.ema_decay, self.global_step / (self.global_step + _EMA_WARMUP))
            torch._foreach_lerp_(mean, now, 1 - decay)

    def configure_optimizers(self) -> Any:
        config = self.config
        make = OPTIMIZERS[config.optimizer]
        optimizer = make(self.flow, lr=config.learning_rate, weight_decay=config.weight_decay)

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
            return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        flow = checkpoints.config_values(self.flow.config)
        checkpoint[SETTINGS] = json.dumps({"training": asdict(self.config), "flow": flow})
