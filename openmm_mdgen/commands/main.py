"""The command ``openmm-mdgen``."""

import sys
from typing import Annotated

import typer

import openmm_mdgen
from openmm_mdgen.commands.benchmark import benchmark
from openmm_mdgen.commands.design import design
from openmm_mdgen.commands.evaluate import evaluate
from openmm_mdgen.commands.interpolate import interpolate
from openmm_mdgen.commands.run import run
from openmm_mdgen.commands.simulate import simulate
from openmm_mdgen.commands.table import table
from openmm_mdgen.commands.train import train
from openmm_mdgen.commands.upsample import upsample
from openmm_mdgen.errors import MDGenError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.command()(run)
app.command()(interpolate)
app.command()(upsample)
app.command()(design)
app.command()(simulate)
app.command()(train)
app.command()(evaluate)
app.command()(benchmark)
app.command()(table)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openmm-mdgen {openmm_mdgen.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Generated molecular dynamics trajectories."""


def main() -> None:
    """Run the command; a mistake in its input is one line on the error stream and exit code 2."""
    try:
        app()
    except (MDGenError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
