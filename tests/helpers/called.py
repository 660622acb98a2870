"""The command as users call it, in the process of the tests."""

import sys

import pytest

from openmm_mdgen.commands.main import main


def called(monkeypatch, captured, *words):
    """Run ``openmm-mdgen`` with these words; gives exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["openmm-mdgen", *map(str, words)])
    with pytest.raises(SystemExit) as leaving:
        main()
    return leaving.value.code, *captured.readouterr()
