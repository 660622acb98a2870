"""The contracts of imports in pyproject.toml are kept, and each of them can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def python(code, *words, folder):
    """Exit code and all that a process prints."""
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def lint(folder, *contracts):
    """lint-imports on the package in `folder`, by default with all contracts."""
    words = ["--no-cache", *(word for name in contracts for word in ("--contract", name))]
    return python("from importlinter.cli import lint_imports_command as c; c()", *words, folder=folder)


@pytest.fixture
def copy(tmp_path):
    """The package's source and the contracts, to be changed at will."""
    shutil.copytree(ROOT / "openmm_mdgen", tmp_path / "openmm_mdgen", ignore=shutil.ignore_patterns("weights"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_all_contracts_are_kept():
    code, printed = lint(ROOT)
    assert code == 0 and "0 broken" in printed, printed


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("files", "import openmm_mdgen.geometry.rigid", "Imports go one way"),
        ("model/tokens", "import openmm_mdgen.generators.design", "Imports go one way"),
        ("molecule/backbone", "import openmm_mdgen.model.tokens", "Imports go one way"),
        ("simulation/record", "import openmm_mdgen.exploration.rounds", "Imports go one way"),
        ("cellar", "pass", "Imports go one way"),  # a file that has no place among the layers
        ("geometry/rigid", "import openmm_mdgen.geometry.atom14", "No circles of imports, within folders too"),
        ("generators/design", "def late():\n    from openmm import unit", "What the network says needs no OpenMM"),
        ("analysis/torsions", "import openmm_mdgen.geometry.rigid", "Analysis needs no torch"),  # by way of it
    ],
)
def test_an_import_in_the_wrong_direction_fails(copy, module, line, broken):
    with open(copy / "openmm_mdgen" / f"{module}.py", "a") as file:
        file.write(f"\n{line}\n")
    code, printed = lint(copy)
    assert code == 1 and f"{broken} BROKEN" in printed, printed


def test_what_only_type_checkers_import_goes_one_way_too(copy):
    contracts = copy / "pyproject.toml"
    text = contracts.read_text()
    assert "exclude_type_checking_imports = true" in text  # for the sake of OpenMM's types
    contracts.write_text(text.replace("exclude_type_checking_imports = true", "exclude_type_checking_imports = false"))
    code, printed = lint(copy, "layers", "circles")
    assert code == 0 and "2 kept, 0 broken" in printed, printed


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, openmm_mdgen; print({'torch', 'openmm', 'mdtraj'} & sys.modules.keys())"
    assert python(code, folder=ROOT) == (0, "set()\n")
