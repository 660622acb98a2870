"""What ``--help`` says: each text stands alone, and fits a terminal of 80 columns."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from openmm_mdgen.commands.main import app

COMMANDS = get_command(app).commands
STANDS_ALONE = r"\S+( \S+){2,}\.( \[default: .+\])?"


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_a_terminal_of_80_columns(name):
    words = ["--help"] if name is None else [name, "--help"]
    done = CliRunner().invoke(app, words, prog_name="openmm-mdgen", env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_that_stands_alone(name):
    """At least three words with a period after them, then at most what the default is."""
    command = COMMANDS[name]
    assert command.help and command.help.strip().endswith(".")
    poor = {
        parameter.name: parameter.help
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and not re.fullmatch(STANDS_ALONE, parameter.help or "")
    }
    assert poor == {}
