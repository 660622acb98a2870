"""``openmm-mdgen train``: weights from one's own trajectories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.from_settings import ConfigFile, with_settings
from openmm_mdgen.commands.outputs import check_folder
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.stops import going_on
from openmm_mdgen.commands.training_data import Folders, RunFolder, TrainingData, require_training
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.settings import documented, require_valid, setting
from openmm_mdgen.training.config import RunOptions, TrainingConfig
from openmm_mdgen.training.devices import Devices

_WEIGHTS, _VALIDATION = "Weights", "Validation"


def _backbones() -> Iterable[str]:
    from openmm_mdgen.molecule.placement import BACKBONES

    return BACKBONES


@documented
@dataclass(frozen=True)
class _NewWeights:
    """What the weights say of themselves, and what they begin with."""

    name: str | None = setting(
        None, "Name that is stored in the weights.", group=_WEIGHTS, shown_default="that of the task"
    )
    temperature: float = setting(
        350.0,
        "Temperature in kelvin of the trajectories that do not state theirs. Those of simulate do, in protocol.json; a "
        'file of that name with {"temperature": 300} in it states that of all trajectories in its folder.',
        group=_WEIGHTS,
        minimum=1,
    )
    force_field: str = setting("amber14-all.xml, implicit/gbn2.xml", "Force field of the trajectories.", group=_WEIGHTS)
    backbone: str = setting(
        "torsions",
        "How the weights' frames are placed: torsions builds the chain of the generated torsions, whose errors add up "
        "along it, and suits peptides; fitted also brings the chain close to the generated rigids, and suits proteins; "
        "rigids leaves bonds between residues of any length.",
        group=_WEIGHTS,
        choices=_backbones,
    )
    init: str | None = setting(
        None,
        "Weights to begin with, by name or path, as far as they fit the network.",
        group=_WEIGHTS,
        shown_default="random weights",
    )

    def __post_init__(self) -> None:
        require_valid(self)


@documented
@dataclass(frozen=True)
class _ValidationData:
    """The MD that is validated on."""

    validate: tuple[Path, ...] = setting(
        (),
        "Folder with MD of other peptides: the weights that do best on them are kept. The option may be repeated.",
        group=_VALIDATION,
    )
    validation_split: Path | None = setting(
        None,
        "CSV file of the sequences to validate on, which are read from --validate or, without it, from the folders to "
        "train on.",
        group=_VALIDATION,
    )


def _moved(weights: str | None) -> None:
    if weights is not None:
        raise MDGenError(
            f"fine-tuning is a command of its own: openmm-mdgen fine-tune {weights} FOLDERS --out RUN, with the other "
            "options as before"
        )


def _named_otherwise(weights: str | None) -> None:
    if weights is not None:
        raise MDGenError(f"--generator is for commands that generate: weights to begin with are --init {weights}")


@with_settings
def train(
    folders: Folders,
    out: RunFolder,
    data: TrainingData,
    validation: _ValidationData,
    weights: _NewWeights,
    settings: TrainingConfig,
    devices: Devices,
    run: RunOptions,
    config: ConfigFile = None,
    fine_tune: Annotated[str | None, typer.Option(callback=_moved, is_eager=True, hidden=True)] = None,
    generator: Annotated[str | None, typer.Option(callback=_named_otherwise, is_eager=True, hidden=True)] = None,
) -> None:
    """Train a model on trajectories of peptides or proteins."""
    require_training()
    from openmm_mdgen import training
    from openmm_mdgen.model.checkpoints import ModelInfo

    splits = data.splits(validation.validation_split)
    check_folder(out)
    record = Recording([out / "weights.safetensors", out / "curve.csv"], folder=out, seed=settings.seed)
    text = "" if config is None else config.read_text(encoding="utf-8")
    info = ModelInfo(
        weights.name or settings.task,
        settings.n_frames,
        settings.frame_interval,
        weights.temperature,
        weights.force_field,
        backbone=weights.backbone,
        about={"training": {"config": text}} if text else {},
    )
    recordings = data.read(folders, None if splits is None else splits.train, data.excluded())
    validated = None if splits is None else splits.validation or None
    places = list(validation.validate) or folders
    with going_on():
        written = training.train(
            recordings,
            out,
            settings,
            info,
            validation=data.read(places, validated) if validation.validate or validated else (),
            init=weights.init,
            devices=devices,
            **asdict(run),
        )
    record.write(about={"trajectories": len(recordings)})
    typer.echo(f"{len(recordings)} trajectories; weights in {written}")
