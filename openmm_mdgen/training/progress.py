"""What a training run shows on its way: a bar of its steps on the error stream, and of Lightning's messages those that
say why a run ended."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as lightning
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_TOLD = ("Time limit reached", "Signaling Trainer to stop", "Received SIGTERM", "Detected KeyboardInterrupt")
_STEPS_BETWEEN_LOSSES = 10


class StepsBar(lightning.Callback):
    """A bar of the run's steps with the latest loss, where the error stream is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
        last = (TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
        self._bar = Progress(*columns, *last, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("steps", loss="")

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._bar.update(self._task, total=trainer.max_steps, completed=trainer.global_step)
        if trainer.is_global_zero:
            self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        step = trainer.global_step
        if step % _STEPS_BETWEEN_LOSSES == 0:
            self._bar.update(self._task, loss=f"loss {float(outputs['loss']):.3f}")
        self._bar.update(self._task, completed=step)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._bar.stop()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        self._bar.stop()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning from telling of devices, tips and its own defaults."""
    handlers = [h for name in ("lightning.pytorch", "lightning.fabric") for h in logging.getLogger(name).handlers]
    for handler in handlers:
        handler.addFilter(_is_told)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")  # the averaged network is
            warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)")  # of torch, about Lightning
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_told)


def _is_told(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.getMessage().startswith(_TOLD)
