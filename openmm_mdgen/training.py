"""Training of a forward-simulation model on real trajectories.

Batch number i, its noise and its flow times are functions of the seed and i alone, so a run that is stopped and taken
up again sees what it would have seen. Lightning holds the loop, checkpoints and averaging of weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from openmm_mdgen import checkpoints
from openmm_mdgen.checkpoints import ModelInfo
from openmm_mdgen.data import Recording, Windows
from openmm_mdgen.files import replacing
from openmm_mdgen.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.network import NetworkConfig
from openmm_mdgen.tasks import ForwardSimulation
from openmm_mdgen.tokens import N_TORSION_CHANNELS, Tokenizer


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a run; kept inside the weights.

    Parameters
    ----------
    steps : int
        Optimiser steps; the learning rate falls to zero along a cosine over them.
    batch_size : int
        Windows a step.
    n_frames, frame_interval : int, float
        Of a window; picoseconds.
    learning_rate, warmup_steps, weight_decay, gradient_clip : float
    offset_weight : float
        Of the offset channels in the loss, next to 1 for torsions: these alone shape the chain when atoms are placed.
    ema_decay : float
        Of the running mean of the weights, which is what is saved.
    width, n_layers, n_heads : int
        Of the network.
    seed : int
    """

    steps: int = 10_000
    batch_size: int = 32
    n_frames: int = 50
    frame_interval: float = 10.0
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    offset_weight: float = 0.3
    ema_decay: float = 0.999
    width: int = 96
    n_layers: int = 4
    n_heads: int = 6
    seed: int = 0


def token_scales(windows: Windows, *, batches: int, seed: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shift and scale that give each kind of token channel unit variance: w, (x, y, z), translation, torsions."""
    rng = np.random.default_rng(seed)
    tokens = torch.cat([Tokenizer().encode(windows.batch(32, rng))[:, 1:].flatten(0, 2) for _ in range(batches)])
    w, xyz, translation = tokens[:, 0], tokens[:, 1:4], tokens[:, 4:7]
    shift = (float(w.mean()), *[0.0] * 20)
    scale = (float(w.std()), *[float(xyz.std())] * 3, *[float(translation.std())] * 3, *[math.sqrt(0.5)] * 14)
    return shift, scale


class FlowTraining(lightning.LightningModule):
    """One step of flow matching."""

    def __init__(self, config: TrainingConfig, windows: Windows, flow: TrajectoryFlow) -> None:
        super().__init__()
        self.config, self.windows, self.flow = config, windows, flow

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        config, step = self.config, self.global_step
        frames = self.windows.batch(config.batch_size, np.random.default_rng((config.seed, step)))
        generator = torch.Generator().manual_seed(
            int(np.random.SeedSequence((config.seed, step, 1)).generate_state(1)[0])
        )
        width = self.flow.config.network.token_width
        noise = torch.randn(*frames.rigids.shape, width, generator=generator)
        t = self.flow.interpolant.draw_times(config.batch_size, generator)
        frames, noise, t = frames.to(self.device), noise.to(self.device), t.to(self.device)
        weights = torch.ones(width, device=self.device)
        weights[:-N_TORSION_CHANNELS] = config.offset_weight
        loss = self.flow.loss(frames, noise, t, channel_weights=weights).mean()
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        config = self.config
        optimizer = torch.optim.AdamW(
            self.flow.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
        )

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / config.warmup_steps)
            return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.steps)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    recordings: Sequence[Recording],
    folder: str | Path,
    config: TrainingConfig,
    info: ModelInfo,
    *,
    hours: float | None = None,
    save_every: int = 100,
    progress: bool = True,
) -> Path:
    """Train, or take up an unfinished run of the same folder, and write ``weights.safetensors`` there.

    Parameters
    ----------
    recordings : sequence of Recording
    folder : path
        For checkpoints (``last.ckpt``), the loss curve (``curve/version_N/metrics.csv``) and the weights.
    config : TrainingConfig
    info : ModelInfo
        Name, temperature and force field of the weights.
    hours : float, optional
        Stop after this wall time; the weights are written as they are, and the run can be taken up again.
    save_every : int
        Steps between checkpoints.
    progress : bool
        Show a progress bar.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lightning.seed_everything(config.seed, verbose=False)
    windows = Windows(recordings, n_frames=config.n_frames, frame_interval=config.frame_interval)
    last = folder / "last.ckpt"
    flow = TrajectoryFlow(_flow_config(config, windows, last))
    trainer = lightning.Trainer(
        max_steps=config.steps,
        max_time=None if hours is None else timedelta(hours=hours),
        accelerator="auto",
        gradient_clip_val=config.gradient_clip,
        logger=CSVLogger(folder, name="curve", flush_logs_every_n_steps=50),
        log_every_n_steps=10,
        enable_progress_bar=progress,
        enable_model_summary=False,
        callbacks=[
            EMAWeightAveraging(decay=config.ema_decay),
            ModelCheckpoint(folder, save_last=True, save_top_k=0, every_n_train_steps=save_every),
        ],
    )
    module = FlowTraining(config, windows, flow)
    steps: DataLoader[int] = DataLoader(_Steps(config.steps), batch_size=None)
    trainer.fit(module, steps, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    about = {
        **info.about,
        "training": asdict(config),
        "steps_taken": trainer.global_step,
        "sequences": sorted(r.sequence for r in recordings),
        "nanoseconds": round(sum(r.frames.n_frames * r.interval for r in recordings) / 1000, 3),
    }
    target = folder / "weights.safetensors"
    complete = ModelInfo(
        **{**asdict(info), "n_frames": config.n_frames, "frame_interval": config.frame_interval, "about": about}
    )
    checkpoints.save(target, flow, complete, dtype=torch.float16)
    return target


class _Steps(Dataset[int]):
    """Numbers of steps: `FlowTraining` makes each batch itself."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> int:
        return index


def _flow_config(config: TrainingConfig, windows: Windows, last: Path) -> FlowConfig:
    """Of the run to take up if there is one, so that its token scales stay though data have been added."""
    kept = last.with_suffix(".scales.pt")
    if last.exists() and kept.exists():
        shift, scale = torch.load(kept, weights_only=True)
    else:
        shift, scale = token_scales(windows, batches=32, seed=config.seed)
        with replacing(kept) as temporary:
            torch.save((shift, scale), temporary)
    network = NetworkConfig(
        width=config.width,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        ipa_head_width=16,
        ipa_points=4,
        ipa_value_points=4,
        max_residues=len(windows.recordings[0].sequence),
        n_frames=config.n_frames,
    )
    return FlowConfig(network, Tokenizer(shift=tuple(shift), scale=tuple(scale)), ForwardSimulation())
