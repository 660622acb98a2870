"""What decides the numbers of a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.model.tasks import TASKS, Inpainting, Task, Upsampling


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a run; kept inside the weights.

    Parameters
    ----------
    task : str
        A name in `tasks.TASKS`.
    factor : int
        Of upsampling: every `factor`-th frame is known.
    designed : tuple of int
        Of inpainting: the residues, from 0, whose type and motion are to be generated.
    steps : int
        Optimiser steps; the learning rate falls to zero along a cosine over them.
    batch_size : int
        Windows a step, over all devices.
    n_frames, frame_interval : int, float
        Of a window; picoseconds.
    max_residues : int, optional
        Of a longer chain, stretches of that many are drawn.
    time_reversal : bool
        Turn half of the windows round.
    learning_rate, warmup_steps, weight_decay, gradient_clip : float
    offset_weight : float
        Of the offset channels in the loss, next to 1 for torsions: these alone shape the chain when atoms are placed.
    ema_decay : float
        Of the running mean of the weights, which is what is saved; less in the first steps.
    width, n_layers, n_heads : int
        Of the network.
    time_mixer : {"attention", "hyena"}
        What mixes the frames of one residue.
    validate_every : int
        Steps between validations, where there is something to validate on.
    patience : int
        Validations without a better figure after which the run stops; 0 never stops.
    seed : int
    """

    task: str = "forward_simulation"
    factor: int = 100
    designed: tuple[int, ...] = (1, 2)
    steps: int = 10_000
    batch_size: int = 32
    n_frames: int = 50
    frame_interval: float = 10.0
    max_residues: int | None = None
    time_reversal: bool = True
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    offset_weight: float = 0.3
    ema_decay: float = 0.999
    width: int = 96
    n_layers: int = 4
    n_heads: int = 6
    time_mixer: str = "attention"
    validate_every: int = 500
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise MDGenError(f"task {self.task!r} is not one of {', '.join(TASKS)}")

    def make_task(self) -> Task:
        """The task these settings name."""
        kind = TASKS[self.task]
        if kind is Upsampling:
            return Upsampling(self.factor)
        if issubclass(kind, Inpainting):
            return kind(tuple(self.designed))
        return kind()

    def differences(self, other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Fields in which saved settings differ from these: name to (saved, here)."""
        ours = asdict(self)
        found = {f.name: (other.get(f.name), ours[f.name]) for f in fields(self)}
        return {name: pair for name, pair in found.items() if _plain(pair[0]) != _plain(pair[1])}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
