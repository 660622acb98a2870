"""What a training run shows: how far it has come, and of Lightning's messages those that say why it ended."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning.pytorch as lightning

from openmm_mdgen.progress import Advance, progress_bar

_TOLD = ("Time limit reached", "Signaling Trainer to stop", "Received SIGTERM", "Detected KeyboardInterrupt")
_STEPS_BETWEEN_LOSSES = 10


class StepsBar(lightning.Callback):
    """A bar of the run's steps with the latest loss; a line now and then where the error stream is no terminal."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._advance: Advance | None = None
        self._done = 0
        self._loss = ""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self._done = trainer.global_step
            shown = progress_bar("training", int(trainer.max_steps), "steps", done=self._done, note="loss")
            self._advance = self._open.enter_context(shown)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        step = trainer.global_step
        if self._advance is None:
            return
        if not self._loss or step % _STEPS_BETWEEN_LOSSES == 0:  # looking at a loss waits for the device
            self._loss = f"{float(outputs['loss']):.3f}"
        self._advance(step - self._done, self._loss)
        self._done = step

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._open.close()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        self._open.close()


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
