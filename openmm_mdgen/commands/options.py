"""Options that several commands have, each declared once."""

from typing import Annotated

import typer

Weights = Annotated[str | None, typer.Option(help="Weights: a bundled name, or a file.")]
Device = Annotated[str, typer.Option(help="Where the network runs: auto, cpu or cuda.")]
OdeSolver = Annotated[str | None, typer.Option(help="Of the flow. [default: named in the weights]")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
