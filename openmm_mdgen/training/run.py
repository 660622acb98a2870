"""A training run in a folder: a new one, or one that goes on from its last checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader, Dataset

from openmm_mdgen import files
from openmm_mdgen.data import Recording, Windows, with_temperatures
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.training.callbacks import Checkpoints, Curve, LatestWeights, Validation
from openmm_mdgen.training.config import RunOptions, TrainingConfig
from openmm_mdgen.training.devices import Devices
from openmm_mdgen.training.initial_flow import new_flow, warm_started
from openmm_mdgen.training.lightning_module import SETTINGS, FlowTraining
from openmm_mdgen.training.progress import StepsBar, quiet
from openmm_mdgen.training.temperatures import informed, require_one
from openmm_mdgen.training.validation import HeldOut


def train(
    recordings: Sequence[Recording],
    folder: str | Path,
    config: TrainingConfig,
    info: ModelInfo,
    *,
    validation: Sequence[Recording] = (),
    init: str | Path | None = None,
    flow: TrajectoryFlow | None = None,
    devices: Devices | None = None,
    hours: float | None = None,
    save_every: int = 100,
    progress: bool = True,
) -> Path:
    """Train a flow and write its weights; a run that is found in the folder goes on from its last checkpoint.

    Parameters
    ----------
    recordings : sequence of Recording
        MD to train on.
    folder : path
        Folder for ``weights.safetensors``, ``curve.csv``, ``last.ckpt`` and, on the way, ``latest.safetensors``; it is
        made if there is none.
    config : TrainingConfig
    info : ModelInfo
        Name and force field of the weights; its temperature is that of MD which does not state its own.
    validation : sequence of Recording
        MD of other sequences: the weights that do best on them are written, and without any the last ones.
    init : str or path, optional
        Weights to begin with, as far as they fit the architecture.
    flow : TrajectoryFlow, optional
        A flow to begin with, in place of one that is built from `config`.
    devices : Devices, optional
    hours, save_every, progress
        As in `RunOptions`.

    Returns
    -------
    Path
        ``weights.safetensors``.

    Raises
    ------
    MDGenError
        Before any training: if the folder cannot be written or holds a run with other settings, the windows do not
        fit the recordings, a sequence would be trained on and validated on, the MD is of temperatures that the network
        is not told, or the batch cannot be shared out.
    """
    folder, devices, options = Path(folder), devices or Devices(), RunOptions(hours, save_every, progress)
    require_writable(folder)
    devices.require_there()
    _require_equal_parts(config, devices)
    _require_task(config, [*recordings, *validation])
    recordings, validation = (with_temperatures(some, info.temperature) for some in (recordings, validation))
    if not config.tell_temperature:
        require_one([*recordings, *validation])
    info = informed(info, recordings, is_told=config.tell_temperature)
    windows = _windows(recordings, config)
    held_out = _held_out(validation, config, recordings)
    lightning.seed_everything(config.seed, verbose=False)
    last = folder / "last.ckpt"
    begun, taken = _begun(last, config, windows, init, flow)
    files.make_folder(folder)
    watching = None if held_out is None else Validation(held_out, config.validate_every, config.patience)
    curve = Curve(folder / "curve.csv", taken, watching)
    info_at = partial(_info, config, info, recordings)
    writing: list[lightning.Callback] = [curve, Checkpoints(last, save_every, curve)]
    writing.append(LatestWeights(folder / "latest.safetensors", save_every, info_at))
    callbacks: list[lightning.Callback] = [*([] if watching is None else [watching]), *writing]
    if progress:
        callbacks.append(StepsBar())
    module = FlowTraining(config, windows, begun)
    steps: DataLoader[int] = DataLoader(_Steps(config.steps), batch_size=None)
    with quiet():
        trainer = _trainer(config, devices, options, callbacks)
        trainer.fit(module, steps, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    best = None if watching is None else _about_validation(watching, validation)
    if watching is not None:
        module.mean.load_state_dict(watching.best_weights or module.mean.state_dict())
    target = folder / "weights.safetensors"
    if trainer.is_global_zero:
        checkpoints.save(target, module.mean, info_at(trainer.global_step, best), dtype=torch.float16)
    trainer.strategy.barrier()
    return target


def require_writable(folder: Path) -> None:
    """Raise `MDGenError` if nothing can be written to the folder, which may be new; it is not made here."""
    try:
        files.require_writable(next(place for place in (folder, *folder.resolve().parents) if place.exists()))
    except OSError as error:
        raise MDGenError(
            f"--out {folder} cannot be written to ({error.strerror}): give the name of another folder"
        ) from error


class _Steps(Dataset[int]):
    """Numbers of steps: `FlowTraining` makes each batch itself."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        return index


def _require_equal_parts(config: TrainingConfig, devices: Devices) -> None:
    processes = devices.devices * devices.nodes
    if config.batch_size % processes:
        raise MDGenError(f"a batch of {config.batch_size} windows cannot be shared by {processes} processes equally")


def _require_task(config: TrainingConfig, recordings: Sequence[Recording]) -> None:
    """Raise `MDGenError` where there is nothing to learn of the task, or nothing to learn it from."""
    task = config.make_task()
    factor: int | None = getattr(task, "factor", None)
    designed: tuple[int, ...] | None = getattr(task, "designed", None)
    if factor is not None and config.n_frames <= factor:
        raise MDGenError(
            f"windows of {config.n_frames} frames hold no interval of factor {factor}: take at least {factor + 1} "
            "frames"
        )
    if designed is None:
        return
    for recording in recordings:
        n = len(recording.sequence)
        if max(designed, default=n) >= n or len(set(designed)) == n:
            told = ", ".join(str(k + 1) for k in designed) or "none"
            raise MDGenError(
                f"designed are residues {told}, and {recording.name} has {n}: take some of these, and leave some known"
            )


def _windows(recordings: Sequence[Recording], config: TrainingConfig) -> Windows:
    return Windows(
        recordings,
        n_frames=config.n_frames,
        frame_interval=config.frame_interval,
        time_reversal=config.time_reversal,
        max_residues=config.max_residues,
        max_padding=config.max_padding,
    )


def _held_out(
    validation: Sequence[Recording], config: TrainingConfig, trained_on: Sequence[Recording]
) -> HeldOut | None:
    if not validation:
        return None
    held_out = HeldOut(validation, config.n_frames, config.frame_interval, figure=config.figure)
    held_out.require_apart_from(trained_on)
    return held_out


def _begun(
    last: Path, config: TrainingConfig, windows: Windows, init: str | Path | None, flow: TrajectoryFlow | None
) -> tuple[TrajectoryFlow, int]:
    """The flow to train, and the number of steps that the run has behind it."""
    if last.exists():
        return _left_off(last, config)
    if flow is not None:
        return flow, 0
    flow = new_flow(config, windows)
    capped = [r.name for r in windows.recordings if r.n_cap or r.c_cap]
    if capped and not config.termini:
        rank_zero_info(
            f"{len(capped)} of {len(windows.recordings)} chains carry caps ({capped[0]}): --termini tells them apart"
        )
    if init is not None:
        flow, missing = warm_started(flow, init)
        if missing:
            rank_zero_info(f"not in {init}, so begun anew: {', '.join(missing)}")
    return flow, 0


def _left_off(last: Path, config: TrainingConfig) -> tuple[TrajectoryFlow, int]:
    """The flow of the run to take up, with its token scales, and the number of steps behind it.

    The weights themselves are loaded by Lightning, together with the state of the optimiser.
    """
    try:
        saved = torch.load(last, map_location="cpu", weights_only=True)
        settings = json.loads(saved[SETTINGS])
    except Exception as error:  # whatever a damaged file makes a reader stumble over
        raise CheckpointError(f"{last} is no checkpoint of this command ({error}): give another --out") from error
    differing = config.differences(settings["training"])
    before = differing.get("steps", (config.steps, 0))[0]
    if set(differing) == {"steps"} and before < config.steps:
        rank_zero_info(
            f"the run is lengthened from {before} to {config.steps} steps: from step {saved['global_step']} on the "
            f"learning rate is that of a run of {config.steps} steps"
        )
        differing = {}
    if differing:
        listed = "; ".join(f"{name} {before} there, {now} here" for name, (before, now) in differing.items())
        raise CheckpointError(f"{last} is of a run with other settings ({listed}): give these, or another --out")
    return TrajectoryFlow(checkpoints.config_from_values(settings["flow"])), saved["global_step"]


def _trainer(
    config: TrainingConfig, devices: Devices, options: RunOptions, callbacks: list[lightning.Callback]
) -> lightning.Trainer:
    return lightning.Trainer(
        max_steps=config.steps,
        max_time=None if options.hours is None else timedelta(hours=options.hours),
        gradient_clip_val=config.gradient_clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,  # the batch of a step knows which part of it is whose
        callbacks=callbacks,
        **devices.trainer_options(),
    )


def _info(
    config: TrainingConfig,
    info: ModelInfo,
    recordings: Sequence[Recording],
    steps: int,
    validation: dict[str, Any] | None = None,
) -> ModelInfo:
    """What the weights say of themselves and of their training."""
    about = {
        **info.about,
        "training": {**asdict(config), **info.about.get("training", {})},
        "steps_taken": steps,
        "sequences": sorted(r.sequence for r in recordings),
        "nanoseconds": round(sum(r.duration for r in recordings) / 1000, 3),
    }
    if validation is not None:
        about["validation"] = validation
    return replace(info, n_frames=config.n_frames, frame_interval=config.frame_interval, about=about)


def _about_validation(watching: Validation, validation: Sequence[Recording]) -> dict[str, Any]:
    return {
        "sequences": sorted(r.sequence for r in validation),
        "best": watching.best,
        "at_step": watching.best_step,
    }
