"""Fine-tuning: weights are trained further on one's own trajectories, and judged on the last part of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from openmm_mdgen.data import Recording, with_temperatures
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.times import RECORDED, whole_number
from openmm_mdgen.training.config import FineTuningConfig, RunOptions, TrainingConfig
from openmm_mdgen.training.devices import Devices
from openmm_mdgen.training.run import require_writable, train
from openmm_mdgen.training.validation import HeldOut, figure_for

_EMA_DECAY = 0.98  # a mean over the last 50 steps: a short run has no more to spare


@dataclass(frozen=True)
class FineTuned:
    """Fine-tuned weights, and how they do on the part of the trajectories that was held out.

    Parameters
    ----------
    weights : Path
    figure : str
        Name of the figure (see `validation`), whose values are means over the held-out parts; lower is better.
    before, after : float
        Its value for the weights that were given, and for the new ones.
    floor : float, optional
        Its value for real MD: between the two halves of the held-out part, or between two draws of windows from it.
    """

    weights: Path
    figure: str
    before: float
    after: float
    floor: float | None


def fine_tune(
    recordings: Sequence[Recording],
    folder: str | Path,
    weights: str | Path,
    config: FineTuningConfig | None = None,
    *,
    name: str | None = None,
    temperature: float | None = None,
    force_field: str | None = None,
    accelerator: str = "auto",
    **run_options: Any,
) -> FineTuned:
    """Train weights further; architecture, token scales, task, frames and their interval are those of the weights.

    Parameters
    ----------
    recordings : sequence of Recording
    folder : path
        Folder of the run, as in `train`; a run that is found there goes on.
    weights : str or path
        Name of bundled weights, or a file of this package or of the published model.
    config : FineTuningConfig, optional
    name, temperature, force_field : optional
        Name of the new weights, force field of the trajectories, and temperature in kelvin of those which do not state
        theirs; by default as the given weights have them, and their name with "fine-tuned" after it.
    accelerator : str
        As in `Devices`.
    **run_options
        ``hours``, ``save_every`` and ``progress`` of `RunOptions`.

    Raises
    ------
    CheckpointError
        If there are no such weights.
    MDGenError
        If a chain has another length than the weights take, frames do not fit their interval, or a part is too short.
    """
    folder, config = Path(folder), config or FineTuningConfig()
    require_writable(folder)
    Devices(accelerator).require_there()
    RunOptions(**run_options)
    flow, info = checkpoints.load(weights)
    settings = _settings(flow, info, config)
    if not 0 < config.hold_out < 1:
        raise MDGenError(f"a held-out share of {config.hold_out:g}: give one between 0 and 1")
    for recording in recordings:
        _require_fit(recording, flow, info, config.hold_out)
    stated = info.temperature if temperature is None else temperature
    recordings = with_temperatures(recordings, stated)
    parts = [_parted(recording, config.hold_out) for recording in recordings]
    kept = HeldOut([last for _, last in parts], info.n_frames, info.frame_interval, config.seed)
    before = _mean(kept.figures(flow))
    begun = replace(
        info,
        name=name or f"{info.name} fine-tuned",
        temperature=stated,
        force_field=force_field or info.force_field,
        about={
            "fine_tuned_from": {"name": info.name, **info.about},
            "held_out_share": config.hold_out,
            "before": before,
        },
    )
    target = train(
        [first for first, _ in parts],
        folder,
        settings,
        begun,
        flow=flow,
        devices=Devices(accelerator),
        **run_options,
    )
    tuned, _ = checkpoints.load(target)
    figure = figure_for(tuned.config.task).name
    return FineTuned(target, figure, before, _mean(kept.figures(tuned)), kept.floor(tuned))


def _settings(flow: TrajectoryFlow, info: ModelInfo, config: FineTuningConfig) -> TrainingConfig:
    """The settings of a run that keeps the architecture of the weights."""
    network, task = flow.config.network, flow.config.task
    known = {f.name for f in fields(TrainingConfig)}
    return TrainingConfig(
        task=task.name,
        n_frames=info.n_frames,
        frame_interval=info.frame_interval,
        width=network.width,
        n_layers=network.n_layers,
        n_heads=network.n_heads,
        time_mixer=network.time_mixer,
        start_in_every_frame=network.start_in_every_frame,
        termini=network.termini,
        tell_temperature=network.temperature,
        ema_decay=_EMA_DECAY,
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        warmup_steps=config.steps // 10,
        seed=config.seed,
        **{f.name: getattr(task, f.name) for f in fields(task) if f.name in known},
    )


def _require_fit(recording: Recording, flow: TrajectoryFlow, info: ModelInfo, held_out: float) -> None:
    network, n = flow.config.network, len(recording.sequence)
    if not network.takes(n):
        allowed = network.chain_lengths
        raise MDGenError(f"{recording.name} has {n} residues, and weights {info.name!r} take {allowed}: use others")
    stride = whole_number(info.frame_interval, recording.interval, tolerance=RECORDED)
    if stride is None:
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
    """The first part of a recording, to train on, and the last, to judge by."""
    cut = recording.n_frames - math.ceil(held_out * recording.n_frames)
    first, last = recording.positions[:cut], recording.positions[cut:]
    return replace(recording, positions=first), replace(recording, positions=last)


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures)
