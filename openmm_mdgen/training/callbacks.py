"""Callbacks of a training run: validation, the file of the loss curve, and checkpoints.

They act in the order validation, curve, checkpoint, latest weights, so that a checkpoint holds all that belongs to its
step.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.training.lightning_module import FlowTraining
from openmm_mdgen.training.validation import HeldOut

_COLUMNS = ("step", "loss", "validation")


class Validation(lightning.Callback):
    """Validates the averaged weights every so many steps, keeps the best ones, and stops a run that no longer gains.

    Parameters
    ----------
    held_out : HeldOut
    every : int
        Number of steps between two validations.
    patience : int
        Number of validations in a row without gain after which the run stops; with 0 it never does.
    """

    def __init__(self, held_out: HeldOut, every: int, patience: int) -> None:
        self.held_out, self.every, self.patience = held_out, every, patience
        self.best = float("inf")
        self.best_step = self.waited = 0
        self.best_weights: dict[str, Tensor] = {}
        self.latest: tuple[int, float] | None = None  # step and figure

    @property
    def is_spent(self) -> bool:
        return 0 < self.patience <= self.waited

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        trainer.should_stop |= self.is_spent  # a run that had stopped, taken up again

    def on_train_batch_end(self, trainer: lightning.Trainer, module: FlowTraining, *_: Any) -> None:  # type: ignore[override]
        step = trainer.global_step
        if step % self.every and step != module.config.steps:
            return
        figures = self.held_out.figures(module.mean, rank=trainer.global_rank, n_ranks=trainer.world_size)
        total = torch.tensor(sum(figures), dtype=torch.float64, device=module.device)
        figure = float(trainer.strategy.reduce(total, reduce_op="sum")) / len(self.held_out.windows)
        self.latest = step, figure
        if figure < self.best:
            self.best, self.best_step, self.waited = figure, step, 0
            self.best_weights = {k: v.detach().cpu().clone() for k, v in module.mean.state_dict().items()}
        else:
            self.waited += 1
        trainer.should_stop |= self.is_spent

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("best", "best_step", "waited", "best_weights")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


class Curve(lightning.Callback):
    """Writes ``curve.csv``: one row a step, with its loss and, where there was one, the figure of its validation.

    Parameters
    ----------
    path : Path
    taken : int
        Number of steps in the checkpoint from which the run goes on: later rows of an earlier attempt are dropped.
    validation : Validation, optional
    """

    def __init__(self, path: Path, taken: int, validation: Validation | None) -> None:
        self.path, self.taken, self.validation = path, taken, validation
        self._rows: list[tuple[int, Tensor, float | None]] = []

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        kept: list[list[str]] = []
        if self.taken and self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if len(row) == len(_COLUMNS)][1:]
            kept = [row for row in rows if int(row[0]) <= self.taken]
        with replacing(self.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_COLUMNS, *kept])

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: lightning.Trainer, module: FlowTraining, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        step, latest = trainer.global_step, self.validation and self.validation.latest
        loss = trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")
        self._rows.append((step, loss, latest[1] if latest and latest[0] == step else None))

    def flush(self) -> None:
        """Write the rows of the steps since the last time."""
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            for step, loss, figure in self._rows:
                csv.writer(file).writerow([step, repr(float(loss)), "" if figure is None else repr(figure)])
        self._rows.clear()


class LatestWeights(lightning.Callback):
    """Writes ``latest.safetensors``, the averaged weights of the last checkpoint: a run can be tried on its way.

    Parameters
    ----------
    path : Path
    every : int
        Number of steps between two checkpoints.
    info_at : callable
        What the weights say of themselves after a number of steps.
    """

    def __init__(self, path: Path, every: int, info_at: Callable[[int], ModelInfo]) -> None:
        self.path, self.every, self.info_at = path, every, info_at

    def on_train_batch_end(self, trainer: lightning.Trainer, module: FlowTraining, *_: Any) -> None:  # type: ignore[override]
        if trainer.is_global_zero and trainer.global_step % self.every == 0:
            checkpoints.save(self.path, module.mean, self.info_at(trainer.global_step), dtype=torch.float16)


class Checkpoints(lightning.Callback):
    """Writes ``last.ckpt``, from which a stopped run goes on; the file is complete at any moment.

    Parameters
    ----------
    path : Path
    every : int
        Number of steps between two checkpoints.
    curve : Curve
        Its rows up to the step of the checkpoint are written first.
    """

    def __init__(self, path: Path, every: int, curve: Curve) -> None:
        self.path, self.every, self.curve = path, every, curve

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step % self.every == 0:
            self._save(trainer)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        temporary = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        try:
            if trainer.is_global_zero:
                self.curve.flush()
            trainer.save_checkpoint(temporary)  # by all processes together; the first one writes
            if trainer.is_global_zero:
                os.replace(temporary, self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            kept = "the one before it is whole, and the same command goes on from there"
            raise MDGenError(
                f"the checkpoint of step {trainer.global_step} could not be written to {self.path.parent} ({error}); "
                f"{kept if self.path.exists() else 'there is none before it'}"
            ) from error
