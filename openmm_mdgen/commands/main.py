"""The command ``openmm-mdgen``."""

import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from importlib import import_module
from typing import Annotated

import typer

import openmm_mdgen
from openmm_mdgen import commands
from openmm_mdgen.commands.from_settings import GroupedCommand
from openmm_mdgen.commands.recording import WARNINGS
from openmm_mdgen.commands.stops import Stopped, stoppable
from openmm_mdgen.errors import MDGenError

# Threads that wait sleep: spinning, they take the processor from others. It is read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=_HELP)
# A module of this folder that has a function of its own name is a command, or several if it is an app with commands of
# its own; this one is what they are started by.
for _name in sorted(module.name for module in pkgutil.iter_modules(commands.__path__) if module.name != "main"):
    _command = getattr(import_module(f"{commands.__name__}.{_name}"), _name, None)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name, context_settings=_HELP)
    elif _command is not None:
        app.command(cls=GroupedCommand, context_settings=_HELP)(_command)


_DEBUG: ContextVar[bool] = ContextVar("debug", default=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openmm-mdgen {openmm_mdgen.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error came from; give it before the command.")
    ] = False,
) -> None:
    """Generated molecular dynamics trajectories."""
    _DEBUG.set(debug)


def _teller(told: list[str]) -> Callable[..., None]:
    """A function that prints each warning once, and adds it to a list."""

    def tell(message: Warning | str, *place: object, **options: object) -> None:
        if str(message) not in told:
            told.append(str(message))
            typer.echo(f"warning: {message}", err=True)

    return tell


def main() -> None:
    """Run the command; a mistake in its input is one line on the error stream and exit code 2, a warning is a line.

    Stopped by Ctrl-C or SIGTERM, it says how to go on, with exit code 130 or 143.
    """
    try:
        with stoppable(), warnings.catch_warnings():
            told: list[str] = []
            WARNINGS.set(told)  # for manifests
            warnings.showwarning = _teller(told)
            app()
    except (MDGenError, OSError) as error:
        if _DEBUG.get():
            traceback.print_exc()
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if _DEBUG.get() or not type(error).__module__.startswith("openmm."):
            raise
        typer.echo(f"error: OpenMM says: {error} (openmm-mdgen --debug shows where)", err=True)
        sys.exit(2)
    except Stopped as stopped:
        typer.echo(str(stopped), err=True)
        sys.exit(stopped.exit_code)
