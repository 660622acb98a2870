"""``openmm-mdgen fine-tune``: weights that are trained further on one's own trajectories."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from openmm_mdgen.commands.from_settings import ConfigFile, with_settings
from openmm_mdgen.commands.outputs import check_folder
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.stops import going_on
from openmm_mdgen.commands.training_data import Folders, RunFolder, TrainingData, require_training
from openmm_mdgen.settings import documented, setting
from openmm_mdgen.training.config import FineTuningConfig, RunOptions

_WEIGHTS = "Weights"


@documented
@dataclass(frozen=True)
class _TunedWeights:
    """What the new weights say of themselves."""

    name: str | None = setting(
        None,
        "Name that is stored in the new weights.",
        group=_WEIGHTS,
        shown_default="that of the given weights with 'fine-tuned' after it",
    )
    temperature: float | None = setting(
        None,
        "Temperature in kelvin of the trajectories that do not state theirs in a file protocol.json.",
        group=_WEIGHTS,
        minimum=1,
        shown_default="that of the given weights",
    )
    force_field: str | None = setting(
        None, "Force field of the trajectories.", group=_WEIGHTS, shown_default="that of the given weights"
    )


@with_settings
def fine_tune(
    weights: Annotated[
        str, typer.Argument(help="Weights to begin with: their name (see openmm-mdgen weights), or a file.")
    ],
    folders: Folders,
    out: RunFolder,
    data: TrainingData,
    about: _TunedWeights,
    settings: FineTuningConfig,
    run: RunOptions,
    config: ConfigFile = None,
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
    check_folder(out)
    record = Recording([out / "weights.safetensors", out / "curve.csv"], folder=out, seed=settings.seed)
    recordings = data.read(folders, None if splits is None else splits.train, data.excluded())
    with going_on():
        tuned = training.fine_tune(
            recordings, out, weights, settings, accelerator=accelerator, **asdict(about), **asdict(run)
        )
    record.write(about={"trajectories": len(recordings)})
    floor = "not defined" if tuned.floor is None else f"{tuned.floor:.3f}"
    typer.echo(
        f"{tuned.figure}, held-out part: {tuned.before:.3f} before, {tuned.after:.3f} after; "
        f"real MD against itself: {floor}\nweights in {tuned.weights}"
    )
