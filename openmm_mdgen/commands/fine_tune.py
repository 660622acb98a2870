"""``openmm-mdgen fine-tune``: weights that are trained further on one's own trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.from_settings import read_config, with_settings
from openmm_mdgen.commands.training_data import TrainingData, require_training
from openmm_mdgen.training.config import FineTuningConfig, RunOptions

_WEIGHTS = "Weights"


@with_settings
def fine_tune(
    weights: Annotated[str, typer.Argument(help="Weights to begin with: the name of bundled ones, or a file.")],
    folders: Annotated[list[Path], typer.Argument(help="Folders with NAME.pdb and NAME.xtc of one molecule each.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and weights; a run that is found there goes on.")],
    data: TrainingData,
    settings: FineTuningConfig,
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
        typer.Option(
            help="Name that is stored in the new weights.",
            show_default="the given weights' name with 'fine-tuned' after it",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Temperature of the trajectories in kelvin.",
            show_default="that of the given weights",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    force_field: Annotated[
        str | None,
        typer.Option(
            help="Force field of the trajectories.", show_default="that of the given weights", rich_help_panel=_WEIGHTS
        ),
    ] = None,
    accelerator: Annotated[
        str, typer.Option(help="Kind of device to train on: auto, cpu or gpu.", rich_help_panel="The run")
    ] = "auto",
) -> None:
    """Train weights further on your own trajectories.

    The task, the network, the frames of a window and their interval are those of the weights. The last part of each
    trajectory is held out, and the weights are compared on it before and after.
    """
    require_training()
    from openmm_mdgen import training

    splits = data.splits()
    training.require_writable(out)
    tuned = training.fine_tune(
        data.read(folders, None if splits is None else splits.train, data.excluded()),
        out,
        weights,
        settings,
        name=name,
        temperature=temperature,
        force_field=force_field,
        accelerator=accelerator,
        hours=run.hours,
        save_every=run.save_every,
        progress=run.progress,
    )
    floor = "not defined" if tuned.floor is None else f"{tuned.floor:.3f}"
    typer.echo(
        f"{tuned.figure}, held-out part: {tuned.before:.3f} before, {tuned.after:.3f} after; "
        f"real MD against itself: {floor}\nweights in {tuned.weights}"
    )
