"""What ``--help`` says: each text stands alone, and fits a terminal of 80 columns."""

import os
import re
import subprocess
import sys

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


@pytest.mark.parametrize("name", COMMANDS)
def test_ranges_and_kinds_of_values_are_told_in_words(name):
    told = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    assert not re.search(r"\brange>|<list|<=x|x>=|<=", told)


def started(*words, **options):
    return subprocess.run([sys.executable, "-m", "openmm_mdgen", *words], capture_output=True, text=True, **options)


def test_the_package_is_the_command_too():
    assert started("--version").stdout.startswith("openmm-mdgen ")
    short, long = started("run", "-h"), started("run", "--help")
    assert short.returncode == 0 and short.stdout == long.stdout and "--time" in short.stdout


def test_debug_shows_where_an_error_came_from(tmp_path):
    words = ("run", "AKXV", "--time", "1ns", "--out", str(tmp_path / "traj.dcd"))
    plain, debug = started(*words), started("--debug", *words)
    assert plain.returncode == debug.returncode == 2
    assert plain.stderr.startswith("error: ") and "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr and debug.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]


@pytest.mark.skipif(os.name == "nt", reason="pipes of Windows end otherwise")
def test_a_reader_that_goes_away_is_told_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "openmm_mdgen", "weights"], stdout=writer, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writer)
    assert done.returncode == 1 and done.stderr == ""
