"""Weights fitted further to one's own trajectories, judged on the part of them that was kept back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openmm_mdgen.data import Recording
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.tasks import TASKS
from openmm_mdgen.training.config import TrainingConfig
from openmm_mdgen.training.run import Devices, require_writable, train
from openmm_mdgen.training.validation import HeldOut, figure_for

STEPS, BATCH_SIZE, LEARNING_RATE = 300, 16, 1e-4
_EMA_DECAY = 0.98  # a mean over the last 50 steps: a short run has no more to spare


@dataclass(frozen=True)
class FineTuned:
    """The weights, and the figure (see `validation`) of what they generate, means over the recordings' last parts."""

    weights: Path
    figure: str  # its name
    before: float
    after: float
    floor: float | None  # of real MD: two halves of the kept part, or two draws from it


def fine_tune(
    recordings: Sequence[Recording],
    folder: str | Path,
    weights: str | Path,
    *,
    steps: int = STEPS,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    held_out: float = 0.3,
    name: str | None = None,
    temperature: float | None = None,
    force_field: str | None = None,
    seed: int = 0,
    accelerator: str = "auto",
    **run_options: Any,
) -> FineTuned:
    """Train weights further; architecture, token scales, task, frames and their interval are those of the weights.

    Parameters
    ----------
    recordings : sequence of Recording
    folder : path
        As `train`, for a run that can be taken up again.
    weights : str or path
        Bundled ones by name, or a file of this package or of the published model.
    steps, batch_size, learning_rate
        As `TrainingConfig`.
    held_out : float
        Share of each recording, its end, that is not trained on.
    name, temperature, force_field : optional
        Of the new weights; by default those of the given ones.
    seed : int
    accelerator : str
    **run_options
        ``hours``, ``save_every`` and ``progress`` of `train`.

    Raises
    ------
    CheckpointError
        If there are no such weights.
    MDGenError
        If a chain has another length than the weights take, frames do not fit their interval, or a part is too short.
    """
    folder = Path(folder)
    require_writable(folder)
    flow, info = checkpoints.load(weights)
    config = _settings(
        flow, info, steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed, warmup_steps=steps // 10
    )
    if not 0 < held_out < 1:
        raise MDGenError(f"a held-out share of {held_out:g}: give one between 0 and 1")
    for recording in recordings:
        _require_fit(recording, flow, info, held_out)
    parts = [_parted(recording, held_out) for recording in recordings]
    kept = HeldOut([last for _, last in parts], info.n_frames, info.frame_interval, seed)
    before = _mean(kept.figures(flow))
    begun = replace(
        info,
        name=name or f"{info.name} fine-tuned",
        temperature=info.temperature if temperature is None else temperature,
        force_field=force_field or info.force_field,
        about={"fine_tuned_from": {"name": info.name, **info.about}, "held_out_share": held_out, "before": before},
    )
    target = train(
        [first for first, _ in parts],
        folder,
        config,
        begun,
        flow=flow,
        devices=Devices(accelerator),
        **run_options,
    )
    tuned, _ = checkpoints.load(target)
    return FineTuned(target, figure_for(tuned).name, before, _mean(kept.figures(tuned)), kept.floor(tuned))


def _settings(flow: TrajectoryFlow, info: ModelInfo, **given: Any) -> TrainingConfig:
    network, task = flow.config.network, flow.config.task
    own = {f: getattr(task, f) for f in ("factor", "designed") if hasattr(task, f)}
    return TrainingConfig(
        task=next(name for name, kind in TASKS.items() if kind is type(task)),
        n_frames=info.n_frames,
        frame_interval=info.frame_interval,
        width=network.width,
        n_layers=network.n_layers,
        n_heads=network.n_heads,
        time_mixer=network.time_mixer,
        ema_decay=_EMA_DECAY,
        **own,
        **given,
    )


def _require_fit(recording: Recording, flow: TrajectoryFlow, info: ModelInfo, held_out: float) -> None:
    network, n = flow.config.network, len(recording.sequence)
    if not network.takes(n):
        allowed = network.chain_lengths
        raise MDGenError(f"{recording.name} has {n} residues, and weights {info.name!r} take {allowed}: use others")
    stride = round(info.frame_interval / recording.interval)
    if stride < 1 or abs(stride * recording.interval - info.frame_interval) > 1e-3 * info.frame_interval:
        raise MDGenError(
            f"{recording.name} has a frame each {recording.interval:g} ps, and weights {info.name!r} take frames "
            f"{info.frame_interval:g} ps apart: record at that interval, or at a whole fraction of it"
        )
    window = ((info.n_frames - 1) * stride + 1) * recording.interval
    shortest = min(held_out, 1 - held_out) * recording.duration
    if shortest < window:
        needed = math.ceil(window / min(held_out, 1 - held_out))
        raise MDGenError(
            f"{recording.name} lasts {recording.duration:g} ps, too short for windows of {window:g} ps in both of its "
            f"parts: record at least {needed} ps, or hold out another share than {held_out:g}"
        )


def _parted(recording: Recording, held_out: float) -> tuple[Recording, Recording]:
    """The first part, to train on, and the last."""
    cut = recording.n_frames - math.ceil(held_out * recording.n_frames)
    first, last = recording.positions[:cut], recording.positions[cut:]
    return replace(recording, positions=first), replace(recording, positions=last)


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures)
