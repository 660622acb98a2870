"""Options that several commands have, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

GeneratorName = Annotated[
    str | None,
    typer.Option(
        help="Name of weights (see openmm-mdgen weights) or of an installed package's generator, or a file of weights. "
        "[default: bundled weights]"
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(help="Name of weights (see openmm-mdgen weights), or a file of weights. [default: bundled weights]"),
]
Device = Annotated[str, typer.Option(help="Device where the network runs: auto, cpu or cuda.")]
OdeSolver = Annotated[
    str | None,
    typer.Option(
        help="Solver of the flow: euler, midpoint, heun, rk4, multistep or dopri5. [default: the one that the weights "
        "state; midpoint for published weights]"
    ),
]
Evaluations = Annotated[
    int | None,
    typer.Option(
        help="Evaluations of the network for each batch of frames. [default: as many as the weights state, else as the "
        "solver has]"
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        help="Temperature in kelvin of what is generated. Weights that were trained at several take any between the "
        "lowest and the highest of them, others their own alone (see openmm-mdgen weights). [default: that of the "
        "weights]",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2**63 - 1, help="Seed of all random numbers. [default: drawn, and printed]"),
]
Ph = Annotated[
    float,
    typer.Option(
        "--ph", min=0, max=14, help="pH for residues that a file neither names a form of nor gives hydrogens."
    ),
]
FrameInterval = Annotated[
    str | None,
    typer.Option(help="Time between the given frames, such as 10ps. [default: as the trajectory's file says]"),
]
_FORMATS = "dcd, xtc, trr, nc (NetCDF of AMBER) or h5 (HDF5, which needs PyTables)."
Format = Annotated[str, typer.Option("--format", help=f"Format of the trajectories: {_FORMATS}")]
FormatOfList = Annotated[
    str | None,
    typer.Option("--format", help=f"Format of the trajectories of a list of sequences: {_FORMATS} [default: dcd]"),
]
FormatKept = Annotated[
    str | None,
    typer.Option("--format", help=f"Format of the trajectories that --out keeps: {_FORMATS} [default: dcd]"),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a dask scheduler, such as tcp://head:8786, whose workers do the work; they see the same "
        "folders as this machine. [default: this machine does it]"
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes on this machine that share the work. [default: of run on a list one a core, or one a GPU; of "
        "simulate none but this one]",
    ),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="File to write all numbers to, .json; - prints them, in place of the text."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace output files that exist.")]
