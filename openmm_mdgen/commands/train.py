"""``openmm-mdgen train``: weights from one's own trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.errors import MDGenError


def train(
    folders: Annotated[list[Path], typer.Argument(help="Folders with NAME.pdb and NAME.xtc of one peptide each.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and weights; a run found there is taken up again.")],
    name: Annotated[str, typer.Option(help="Name of the weights.")] = "forward",
    temperature: Annotated[float, typer.Option(help="Kelvin, of the trajectories.")] = 350.0,
    force_field: Annotated[str, typer.Option(help="Of the trajectories.")] = "amber14-all.xml, implicit/gbn2.xml",
    exclude: Annotated[list[Path] | None, typer.Option(help="CSV of sequences that are not to be trained on.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = 10_000,
    hours: Annotated[float | None, typer.Option(help="Stop after this wall time and write the weights so far.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows a step.")] = 32,
    frames: Annotated[int, typer.Option(min=2, help="Of a window, the known first one included.")] = 50,
    frame_interval: Annotated[float, typer.Option(help="Picoseconds between frames.")] = 10.0,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    width: Annotated[int, typer.Option(help="Of the network.")] = 96,
    layers: Annotated[int, typer.Option(min=1)] = 4,
    heads: Annotated[int, typer.Option(min=1)] = 6,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train a forward-simulation model on trajectories of peptides of one length."""
    try:
        from openmm_mdgen import training
    except ModuleNotFoundError as error:
        raise MDGenError(f"training needs {error.name}: pip install 'openmm_mdgen[train]'") from error
    from openmm_mdgen.checkpoints import ModelInfo
    from openmm_mdgen.data import read_folders, read_sequences

    excluded = frozenset().union(*(read_sequences(path) for path in exclude or []))
    recordings = read_folders(folders, excluded=excluded)
    config = training.TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        n_frames=frames,
        frame_interval=frame_interval,
        learning_rate=learning_rate,
        width=width,
        n_layers=layers,
        n_heads=heads,
        seed=seed,
    )
    info = ModelInfo(name, frames, frame_interval, temperature, force_field)
    weights = training.train(recordings, out, config, info, hours=hours)
    typer.echo(f"{len(recordings)} trajectories; weights in {weights}")
