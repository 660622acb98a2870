"""What ``--help`` says: each text stands alone, and fits a terminal of 80 columns."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from openmm_mdgen.commands.main import app

COMMANDS = get_command(app).commands


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_a_terminal_of_80_columns(name):
    words = ["--help"] if name is None else [name, "--help"]
    done = CliRunner().invoke(app, words, prog_name="openmm-mdgen", env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", ["run", "interpolate", "upsample", "design"])
def test_every_option_has_a_help_that_stands_alone(name):
    """At least three words, and a period at the end."""
    command = COMMANDS[name]
    assert command.help and command.help.strip().endswith(".")
    poor = {
        parameter.name: parameter.help
        for parameter in command.params
        if parameter.name != "help"
        and (not parameter.help or len(parameter.help.split()) < 3 or not parameter.help.endswith("."))
    }
    assert poor == {}
