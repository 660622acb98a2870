"""``openmm-mdgen train``: weights from one's own trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.from_settings import read_config, with_settings
from openmm_mdgen.commands.training_data import TrainingData, require_training
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.training.config import RunOptions, TrainingConfig
from openmm_mdgen.training.devices import Devices

_WEIGHTS, _VALIDATION = "Weights", "Validation"


def _moved(weights: str | None) -> None:
    if weights is not None:
        raise MDGenError(
            f"fine-tuning is a command of its own: openmm-mdgen fine-tune {weights} FOLDERS --out RUN, with the other "
            "options as before"
        )


@with_settings
def train(
    folders: Annotated[list[Path], typer.Argument(help="Folders with NAME.pdb and NAME.xtc of one molecule each.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and weights; a run that is found there goes on.")],
    data: TrainingData,
    settings: TrainingConfig,
    devices: Devices,
    run: RunOptions,
    config: Annotated[
        Path | None,
        typer.Option(
            callback=read_config,
            is_eager=True,
            help="YAML file of options by their long names; options on the command line take precedence over it.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name that is stored in the weights.", show_default="the task", rich_help_panel=_WEIGHTS),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="Temperature of the trajectories in kelvin.", rich_help_panel=_WEIGHTS)
    ] = 350.0,
    force_field: Annotated[
        str, typer.Option(help="Force field of the trajectories.", rich_help_panel=_WEIGHTS)
    ] = "amber14-all.xml, implicit/gbn2.xml",
    init: Annotated[
        str | None,
        typer.Option(
            help="Weights to begin with, by name or path, as far as they fit the network.",
            show_default="random weights",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    validate: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with MD of other peptides: the weights that do best on them are kept. The option may be "
            "repeated.",
            rich_help_panel=_VALIDATION,
        ),
    ] = None,
    validation_split: Annotated[
        Path | None,
        typer.Option(
            help="CSV file of the sequences to validate on, which are read from --validate or, without it, from the "
            "folders to train on.",
            rich_help_panel=_VALIDATION,
        ),
    ] = None,
    fine_tune: Annotated[str | None, typer.Option(callback=_moved, is_eager=True, hidden=True)] = None,
) -> None:
    """Train a model on trajectories of peptides or proteins."""
    require_training()
    from openmm_mdgen import training
    from openmm_mdgen.model.checkpoints import ModelInfo

    splits = data.splits(validation_split)
    training.require_writable(out)
    text = "" if config is None else config.read_text(encoding="utf-8")
    about = {"training": {"config": text}} if text else {}
    info = ModelInfo(
        name or settings.task, settings.n_frames, settings.frame_interval, temperature, force_field, about=about
    )
    recordings = data.read(folders, None if splits is None else splits.train, data.excluded())
    validated = None if splits is None else splits.validation or None
    weights = training.train(
        recordings,
        out,
        settings,
        info,
        validation=data.read(validate or folders, validated) if validate or validated else (),
        init=init,
        devices=devices,
        hours=run.hours,
        save_every=run.save_every,
        progress=run.progress,
    )
    typer.echo(f"{len(recordings)} trajectories; weights in {weights}")
