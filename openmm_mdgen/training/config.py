"""Settings of a training run: those that decide its numbers, and those that do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from openmm_mdgen.settings import documented, require_valid, setting

if TYPE_CHECKING:
    from openmm_mdgen.model.tasks import Task

_TASK, _WINDOWS, _NETWORK, _LEARNING = "Task", "Windows", "Network", "Learning"
_VALIDATION, _RUN = "Validation", "The run"


def _tasks() -> Iterable[str]:
    from openmm_mdgen.model.tasks import TASKS

    return TASKS


def _time_mixers() -> Iterable[str]:
    from openmm_mdgen.model.network.config import TIME_MIXERS

    return TIME_MIXERS


def _optimizers() -> Iterable[str]:
    from openmm_mdgen.training.optimizers import OPTIMIZERS

    return OPTIMIZERS


def _seed() -> Any:
    """The setting of that name, which every run has."""
    return setting(
        0,
        "Seed of all random numbers of the run; the same seed repeats the run.",
        group=_LEARNING,
        minimum=0,
        maximum=2**32 - 1,
    )


def _figures() -> Iterable[str]:
    from openmm_mdgen.training.validation import FIGURES

    return FIGURES


def _from_zero(residues: Sequence[int]) -> tuple[int, ...]:
    return tuple(residue - 1 for residue in residues)


@documented
@dataclass(frozen=True)
class TrainingConfig:
    """Settings that decide the numbers of a run; kept inside the weights.

    Residues in `designed` are counted from 0 here; only the option ``--designed`` counts from 1.
    """

    task: str = setting(
        "forward_simulation", "Name of the task that the weights are to learn.", group=_TASK, choices=_tasks
    )
    factor: int = setting(
        100,
        "Number of frame intervals from one known frame to the next; used by upsampling.",
        group=_TASK,
        minimum=2,
    )
    designed: tuple[int, ...] = setting(
        (1, 2),
        "Number of a residue whose type and motion are to be generated, counted from 1; repeat the option for each. "
        "Used by inpainting.",
        group=_TASK,
        minimum=1,
        from_option=_from_zero,
        shown_default="2 and 3",
    )
    steps: int = setting(
        10_000,
        "Number of optimiser steps; the learning rate falls to zero along a cosine over them.",
        group=_LEARNING,
        minimum=1,
    )
    batch_size: int = setting(
        32, "Number of windows that a step is computed from, over all devices.", group=_LEARNING, minimum=1
    )
    n_frames: int = setting(
        50, "Number of frames in a window, the known ones included.", option="frames", group=_WINDOWS, minimum=2
    )
    frame_interval: float = setting(
        10.0,
        "Time between the frames of a window, such as 10ps; a whole multiple of the interval of the trajectories. A "
        "bare number is in picoseconds.",
        group=_WINDOWS,
        is_time=True,
    )
    max_residues: int | None = setting(
        None,
        "Largest number of residues in a window and, for chains of several lengths, in what the weights take: from a "
        "longer chain, stretches of this length are drawn.",
        group=_WINDOWS,
        minimum=2,
        shown_default="whole chains",
    )
    time_reversal: bool = setting(
        True,
        "Reverse half of the windows in time, as equilibrium motion looks the same both ways. Switch this off for "
        "runs that are driven or relax from an unlikely start.",
        group=_WINDOWS,
    )
    max_padding: float | None = setting(
        None,
        "Largest average share of padding in a batch, such as 0.05: its windows are then drawn from chains of near "
        "lengths.",
        group=_WINDOWS,
        minimum=0,
        maximum=1,
        shown_default="chains of any lengths in a batch",
    )
    optimizer: str = setting(
        "adamw",
        "Name of the optimiser; muon updates the matrices of the layers by Muon at three times the learning rate, and "
        "all else by AdamW.",
        group=_LEARNING,
        choices=_optimizers,
    )
    learning_rate: float = setting(
        1e-3, "Learning rate at the end of the warm-up, where it is highest.", group=_LEARNING, minimum=0
    )
    warmup_steps: int = setting(
        200,
        "Number of steps over which the learning rate rises linearly from zero.",
        option="warmup",
        group=_LEARNING,
        minimum=0,
    )
    weight_decay: float = setting(
        0.01, "Decay of the weights in a step, as a share of the learning rate.", group=_LEARNING, minimum=0
    )
    gradient_clip: float = setting(
        1.0, "Largest norm of the gradient; a longer gradient is shortened to it.", group=_LEARNING, minimum=0
    )
    # Torsions alone shape the chain when atoms are placed.
    offset_weight: float = setting(
        0.3,
        "Weight in the loss of the channels that hold offsets of residues; those that hold torsions have weight 1.",
        group=_LEARNING,
        minimum=0,
    )
    ema_decay: float = setting(
        0.999,
        "Decay of the exponential moving average of the weights, which is what is saved; it is smaller in the first "
        "steps.",
        group=_LEARNING,
        minimum=0,
        maximum=1,
    )
    width: int = setting(96, "Number of channels of the network's embeddings.", group=_NETWORK, minimum=1)
    n_layers: int = setting(
        4, "Number of layers, of the trunk and of the key frames' embedding each.", option="layers", group=_NETWORK,
        minimum=1,
    )  # fmt: skip
    n_heads: int = setting(6, "Number of heads of every attention.", option="heads", group=_NETWORK, minimum=1)
    time_mixer: str = setting(
        "attention", "Kind of layer that mixes the frames of one residue.", group=_NETWORK, choices=_time_mixers
    )
    start_in_every_frame: bool = setting(
        False, "Give the tokens of the first frame to the network in every frame.", group=_NETWORK
    )
    termini: bool = setting(
        False,
        "Tell the network which ends of a chain are capped; without this, omega and phi of a capped first residue are "
        "not learned.",
        group=_NETWORK,
    )
    tell_temperature: bool = setting(
        False,
        "Tell the network the temperature of each trajectory, so that the weights take any temperature from the lowest "
        "to the highest of them; without this, all trajectories have to be of one.",
        group=_NETWORK,
    )
    figure: str | None = setting(
        None,
        "Name of the figure by which weights are chosen; flow_loss, the loss on windows, noise and times that stay the "
        "same, takes little time.",
        group=_VALIDATION,
        choices=_figures,
        shown_default="the one that the task names",
    )
    validate_every: int = setting(
        500, "Number of steps between two validations, where there is MD to validate on.", group=_VALIDATION, minimum=1
    )
    patience: int = setting(
        0,
        "Number of validations in a row without a better figure after which the run stops; with 0 it never does.",
        group=_VALIDATION,
        minimum=0,
    )
    seed: int = _seed()

    def __post_init__(self) -> None:
        require_valid(self)

    def make_task(self) -> Task:
        """The task that these settings name, with those of them that it has fields for."""
        from openmm_mdgen.model.tasks import TASKS

        kind = TASKS[self.task]
        given = {f.name: getattr(self, f.name) for f in fields(kind) if hasattr(self, f.name)}
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})

    def differences(self, other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Fields in which saved settings differ from these, as name to (saved, here).

        A field that an older version did not save has its default there.
        """
        ours = asdict(self)
        found = {f.name: (other.get(f.name, f.default), ours[f.name]) for f in fields(self)}
        return {name: pair for name, pair in found.items() if _plain(pair[0]) != _plain(pair[1])}


@documented
@dataclass(frozen=True)
class FineTuningConfig:
    """Settings that decide the numbers of a fine-tuning, besides those that the weights bring."""

    steps: int = setting(
        300,
        "Number of optimiser steps; the learning rate rises over the first tenth of them and then falls to zero.",
        group=_LEARNING,
        minimum=1,
    )
    batch_size: int = setting(16, "Number of windows that a step is computed from.", group=_LEARNING, minimum=1)
    learning_rate: float = setting(
        1e-4, "Learning rate at the end of the warm-up, where it is highest.", group=_LEARNING, minimum=0
    )
    hold_out: float = setting(
        0.3,
        "Share of each trajectory, its end, that is not trained on and on which the weights are compared before and "
        "after.",
        group=_VALIDATION,
    )
    seed: int = _seed()

    def __post_init__(self) -> None:
        require_valid(self)


@documented
@dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not change its numbers."""

    hours: float | None = setting(
        None,
        "Hours of wall time after which the run stops and writes the weights that it has reached.",
        group=_RUN,
        above_zero=True,
        shown_default="no limit",
    )
    save_every: int = setting(100, "Number of steps between two checkpoints.", group=_RUN, minimum=1)
    progress: bool = setting(True, "Show a progress bar.", group=_RUN)

    def __post_init__(self) -> None:
        require_valid(self)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
