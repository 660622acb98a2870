"""``openmm-mdgen train``: weights from one's own trajectories."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer

from openmm_mdgen.errors import MDGenError


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Values of the file become the defaults of this call."""
    if path is None:
        return None
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise MDGenError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise MDGenError(f"{path}: give one 'option: value' a line")
    known = [p.name for p in context.command.params if p.name and p.name != "config"]
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise MDGenError(f"{path}: there is no option {key!r}; the nearest is {near!r}")
        defaults[name] = value
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def train(
    folders: Annotated[list[Path], typer.Argument(help="Folders with NAME.pdb and NAME.xtc of one peptide each.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and weights; a run found there is taken up again.")],
    config: Annotated[
        Path | None,
        typer.Option(
            callback=_read_config,
            is_eager=True,
            help="YAML file of these options, by their long names; those given on the command line count more.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the weights; by default that of the task.")] = None,
    task: Annotated[
        str, typer.Option(help="forward_simulation, interpolation, upsampling or inpainting.")
    ] = "forward_simulation",
    factor: Annotated[int, typer.Option(min=2, help="Of upsampling: every so many frames one is known.")] = 100,
    designed: Annotated[list[int] | None, typer.Option(help="Of inpainting: residues, from 1. [default: 2 3]")] = None,
    temperature: Annotated[float, typer.Option(help="Kelvin, of the trajectories.")] = 350.0,
    force_field: Annotated[str, typer.Option(help="Of the trajectories.")] = "amber14-all.xml, implicit/gbn2.xml",
    exclude: Annotated[list[Path] | None, typer.Option(help="CSV of sequences that are not to be trained on.")] = None,
    validate: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of held-out peptides: the weights are kept that generate best for them."),
    ] = None,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps.")] = 500,
    patience: Annotated[int, typer.Option(min=0, help="Validations without gain until it stops; 0 never.")] = 0,
    init: Annotated[str | None, typer.Option(help="Weights to begin from, by name or path, where they fit.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = 10_000,
    hours: Annotated[float | None, typer.Option(help="Stop after this wall time and write the weights so far.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows a step, over all devices.")] = 32,
    frames: Annotated[int, typer.Option(min=2, help="Of a window, the known ones included.")] = 50,
    frame_interval: Annotated[float, typer.Option(help="Picoseconds between frames.")] = 10.0,
    time_reversal: Annotated[bool, typer.Option(help="Turn half of the windows round.")] = True,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps until the learning rate is reached.")] = 200,
    width: Annotated[int, typer.Option(help="Of the network.")] = 96,
    layers: Annotated[int, typer.Option(min=1)] = 4,
    heads: Annotated[int, typer.Option(min=1)] = 6,
    time_mixer: Annotated[str, typer.Option(help="attention or hyena: what mixes frames.")] = "attention",
    seed: Annotated[int, typer.Option()] = 0,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="On each node; they share every batch.")] = 1,
    nodes: Annotated[int, typer.Option(min=1)] = 1,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Train a model on trajectories of peptides of one length."""
    try:
        from openmm_mdgen import training
    except ModuleNotFoundError as error:
        raise MDGenError(f"training needs {error.name}: pip install 'openmm_mdgen[train]'") from error
    from openmm_mdgen.checkpoints import ModelInfo
    from openmm_mdgen.data import read_folders, read_sequences

    settings = training.TrainingConfig(
        task=task,
        factor=factor,
        designed=tuple(residue - 1 for residue in designed or (2, 3)),
        steps=steps,
        batch_size=batch_size,
        n_frames=frames,
        frame_interval=frame_interval,
        time_reversal=time_reversal,
        learning_rate=learning_rate,
        warmup_steps=warmup,
        width=width,
        n_layers=layers,
        n_heads=heads,
        time_mixer=time_mixer,
        validate_every=validate_every,
        patience=patience,
        seed=seed,
    )
    training.require_writable(out)
    about = {} if config is None else {"training": {"config": config.read_text(encoding="utf-8")}}
    info = ModelInfo(name or task, frames, frame_interval, temperature, force_field, about=about)
    excluded = frozenset().union(*(read_sequences(path) for path in exclude or []))
    recordings = read_folders(folders, excluded=excluded)
    weights = training.train(
        recordings,
        out,
        settings,
        info,
        validation=read_folders(validate) if validate else (),
        init=init,
        devices=training.Devices(accelerator, devices, nodes),
        hours=hours,
        save_every=save_every,
        progress=progress,
    )
    typer.echo(f"{len(recordings)} trajectories; weights in {weights}")
