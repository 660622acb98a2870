"""A training run in a folder: begun, or taken up where it was left."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader, Dataset

from openmm_mdgen.data import Recording, Windows
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.training.callbacks import Checkpoints, Curve, Validation
from openmm_mdgen.training.config import TrainingConfig
from openmm_mdgen.training.initial_flow import new_flow, warm_started
from openmm_mdgen.training.lightning_module import SETTINGS, FlowTraining
from openmm_mdgen.training.validation import HeldOut


@dataclass(frozen=True)
class Devices:
    """Where a run is computed; with several processes, each takes an equal part of every batch.

    Parameters
    ----------
    accelerator : str
        ``"auto"``, ``"cpu"`` or ``"gpu"``.
    devices : int
        On each node.
    nodes : int
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1

    def trainer_options(self) -> dict[str, Any]:
        several = self.devices * self.nodes > 1
        return {
            "accelerator": self.accelerator,
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": "ddp" if several else "auto",
            "precision": self._precision(),
        }

    def _precision(self) -> str:
        on_gpu = self.accelerator != "cpu" and torch.cuda.is_available()
        return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


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
    """Train, or take up an unfinished run of the same folder, and write ``weights.safetensors`` there.

    Parameters
    ----------
    recordings : sequence of Recording
    folder : path
        For the checkpoint (``last.ckpt``), the curve (``curve.csv``) and the weights.
    config : TrainingConfig
    info : ModelInfo
        Name, temperature and force field of the weights.
    validation : sequence of Recording
        Of other sequences: the weights that do best on them are written, else the last ones.
    init : str or path, optional
        Weights to begin from, as far as they fit.
    flow : TrajectoryFlow, optional
        Begin from this one instead of building one from `config`.
    devices : Devices, optional
    hours : float, optional
        Stop after this wall time; the weights are written as they are, and the run can be taken up again.
    save_every : int
        Steps between checkpoints.
    progress : bool
        Show a progress bar.

    Raises
    ------
    MDGenError
        Before any training: if the folder cannot be written or holds a run with other settings, the windows do not
        fit the recordings, a sequence would be trained on and validated on, or the batch cannot be shared out.
    """
    folder, devices = Path(folder), devices or Devices()
    require_writable(folder)
    processes = devices.devices * devices.nodes
    if config.batch_size % processes:
        raise MDGenError(f"a batch of {config.batch_size} windows cannot be shared by {processes} processes equally")
    windows = Windows(
        recordings,
        n_frames=config.n_frames,
        frame_interval=config.frame_interval,
        time_reversal=config.time_reversal,
        max_residues=config.max_residues,
    )
    held_out = HeldOut(validation, config.n_frames, config.frame_interval) if validation else None
    if held_out is not None:
        held_out.require_apart_from(recordings)
    lightning.seed_everything(config.seed, verbose=False)
    last = folder / "last.ckpt"
    taken = 0
    if last.exists():
        flow, taken = _left_off(last, config)
    elif flow is None:
        flow = new_flow(config, windows)
        if init is not None:
            flow, missing = warm_started(flow, init)
            if missing:
                rank_zero_info(f"not in {init}, so begun anew: {', '.join(missing)}")
    callbacks: list[lightning.Callback] = []
    watching = None if held_out is None else Validation(held_out, config.validate_every, config.patience)
    if watching is not None:
        callbacks.append(watching)
    curve = Curve(folder / "curve.csv", taken, watching)
    trainer = lightning.Trainer(
        max_steps=config.steps,
        max_time=None if hours is None else timedelta(hours=hours),
        gradient_clip_val=config.gradient_clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,  # the batch of a step knows which part of it is whose
        callbacks=[*callbacks, curve, Checkpoints(last, save_every, curve)],
        **devices.trainer_options(),
    )
    module = FlowTraining(config, windows, flow)
    steps: DataLoader[int] = DataLoader(_Steps(config.steps), batch_size=None)
    trainer.fit(module, steps, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    about = {
        **info.about,
        "training": {**asdict(config), **info.about.get("training", {})},
        "steps_taken": trainer.global_step,
        "sequences": sorted(r.sequence for r in recordings),
        "nanoseconds": round(sum(r.duration for r in recordings) / 1000, 3),
    }
    if watching is not None:
        module.mean.load_state_dict(watching.best_weights or module.mean.state_dict())
        about["validation"] = {
            "sequences": sorted(r.sequence for r in validation),
            "best": watching.best,
            "at_step": watching.best_step,
        }
    complete = replace(info, n_frames=config.n_frames, frame_interval=config.frame_interval, about=about)
    target = folder / "weights.safetensors"
    if trainer.is_global_zero:
        checkpoints.save(target, module.mean, complete, dtype=torch.float16)
    trainer.strategy.barrier()
    return target


def require_writable(folder: Path) -> None:
    """Make the folder; `MDGenError` if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MDGenError(f"{folder} cannot be written to ({error}): give another --out") from error


class _Steps(Dataset[int]):
    """Numbers of steps: `FlowTraining` makes each batch itself."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        return index


def _left_off(last: Path, config: TrainingConfig) -> tuple[TrajectoryFlow, int]:
    """The flow, token scales included, and the number of steps of the run to take up."""
    try:
        saved = torch.load(last, map_location="cpu", weights_only=True)
        settings = json.loads(saved[SETTINGS])
    except Exception as error:  # whatever a damaged file makes a reader stumble over
        raise CheckpointError(f"{last} is no checkpoint of this command ({error}): give another --out") from error
    differing = config.differences(settings["training"])
    if differing:
        listed = "; ".join(f"{name} {before} there, {now} here" for name, (before, now) in differing.items())
        raise CheckpointError(f"{last} is of a run with other settings ({listed}): give these, or another --out")
    return TrajectoryFlow(checkpoints.config_from_values(settings["flow"])), saved["global_step"]
