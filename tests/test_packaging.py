"""Distributions, the recipe for conda-forge, and what the package claims of versions and systems."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import openmm_mdgen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
ON_CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "tables": "pytables"}
SOURCES = sorted((ROOT / "openmm_mdgen").rglob("*.py"))


def of_pyproject(lines):
    found = [Requirement(line) for line in lines]
    return {ON_CONDA.get(r.name.lower(), r.name.lower()): r.specifier for r in found}


def of_recipe(lines):
    split = [line.split(maxsplit=1) for line in lines]
    return {name: SpecifierSet(versions) for name, versions in split if name != "python"}


def test_the_recipe_needs_what_pyproject_needs():
    project, requirements = PROJECT["project"], RECIPE["requirements"]
    assert of_recipe(requirements["run"]) == of_pyproject(project["dependencies"])
    extras = [
        line for extra in ("steering", "workers", "hdf5", "train") for line in project["optional-dependencies"][extra]
    ]
    assert of_recipe(requirements["run_constraints"]) == of_pyproject(extras)
    host = [line for line in requirements["host"] if line != "pip"]
    assert of_recipe(host) == of_pyproject(PROJECT["build-system"]["requires"])


def test_the_recipe_is_of_this_version_with_its_command():
    context, project = RECIPE["context"], PROJECT["project"]
    assert context["version"] == openmm_mdgen.__version__
    assert f">={context['python_min']}" == project["requires-python"]
    [entry] = RECIPE["build"]["python"]["entry_points"]
    assert dict([entry.split(" = ")]) == project["scripts"]
    assert RECIPE["about"]["license"] == project["license"]


def test_the_recipe_is_read_and_rendered_by_its_own_tool():
    rattler_build = pytest.importorskip("rattler_build")
    path = ROOT / "recipe" / "recipe.yaml"
    [rendered] = rattler_build.Stage0Recipe.from_file(path).render()
    assert str(rendered.recipe.package.name) == "openmm_mdgen"
    assert str(rendered.recipe.package.version) == openmm_mdgen.__version__
    wrong = path.read_text(encoding="utf-8").replace("run_constraints:", "run_constraint:")
    with pytest.raises(rattler_build.RecipeParseError):  # so what it takes is what the format has
        rattler_build.Stage0Recipe.from_yaml(wrong)


def test_versions_of_python_are_claimed_and_checked_alike():
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert claimed == ["3.10", "3.11", "3.12", "3.13"]
    assert PROJECT["project"]["requires-python"] == f">={claimed[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py310" and PROJECT["tool"]["mypy"]["python_version"] == "3.10"


def built(folder, kind):
    """What the build backend makes, in a process of its own; `build` and pip call the same function."""
    code = f"import setuptools.build_meta as backend, sys; print(backend.build_{kind}(sys.argv[1]), file=sys.stderr)"
    copy = folder / "source"
    if not copy.exists():
        for name in ("openmm_mdgen", "examples", "tests/helpers"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (*ROOT.glob("*.*"), ROOT / "LICENSE"):
            if path.is_file():
                shutil.copy(path, copy)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / done.stderr.split()[-1]


@pytest.mark.slow
def test_distributions_hold_the_package_and_install_elsewhere(tmp_path):
    wheel, source = built(tmp_path, "wheel"), built(tmp_path, "sdist")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(next(n for n in inside if n.endswith("/METADATA"))).decode())
    kept = {p.relative_to(ROOT).as_posix() for p in (ROOT / "openmm_mdgen").rglob("*") if p.is_file()}
    kept = {name for name in kept if "__pycache__" not in name}
    assert {name for name in inside if ".dist-info/" not in name} == kept  # and nothing else, such as tests
    for part in (
        "py.typed",
        "weights/forward_peptide.safetensors",
        "weights/forward_peptide.md",
        "report/templates/page.html",
    ):
        assert f"openmm_mdgen/{part}" in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)
    assert metadata["Name"] == "openmm_mdgen" and metadata["Version"] == openmm_mdgen.__version__
    assert metadata["License-Expression"] == "MIT" and len(metadata.get_all("Project-URL")) >= 2
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CITATION.cff", "examples/quickstart.py"} | kept <= names
    assert not [name for name in names if name.startswith("tests/")]

    place = tmp_path / "elsewhere"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(place), str(source)], check=True, cwd=tmp_path)
    code = (
        "import openmm_mdgen; from openmm_mdgen.report import page; from openmm_mdgen import TrajectoryGenerator as G; "
        "print(openmm_mdgen.__file__, G.load(device='cpu').info.name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert str(place) in done.stdout and "forward_" in done.stdout


# What Windows or macOS lack
UNIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
UNIX_FUNCTIONS = (
    "chown fork forkpty getegid geteuid getgid getloadavg getpgid getuid killpg mkfifo nice register_at_fork "
    "sched_getaffinity sched_setaffinity setsid sysconf statvfs uname wait3 wait4"
).split()
SIGNALS_OF_ALL = {"SIGINT", "SIGTERM", "SIGABRT", "SIG_DFL", "SIG_IGN"}


def test_nothing_of_one_system_is_taken_for_granted():
    """Modules and functions that only some systems have, and are not asked for by ``hasattr`` first."""
    wrong = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                wrong += [f"{path}: {name.name}" for name in node.names if name.name in UNIX_MODULES]
            if isinstance(node, ast.ImportFrom) and node.module in UNIX_MODULES:
                wrong.append(f"{path}: {node.module}")
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "os" and node.attr in UNIX_FUNCTIONS and f'hasattr(os, "{node.attr}")' not in text:
                    wrong.append(f"{path}: os.{node.attr}")
                if node.value.id == "signal" and node.attr.startswith("SIG") and node.attr not in SIGNALS_OF_ALL:
                    wrong.append(f"{path}: signal.{node.attr}")
    assert not wrong


@pytest.mark.slow
def test_a_run_needs_none_of_what_other_systems_lack(tmp_path):
    """Without those functions, other signals, locks of files and Linux's folder of processes, a run is as ever."""
    code = f"""
import builtins, io, os, signal, sys
import filelock, torch, openmm.app, mdtraj, deeptime, psutil, huggingface_hub  # which may use them
for name in {UNIX_FUNCTIONS!r}:
    if hasattr(os, name):
        delattr(os, name)
for name in [n for n in dir(signal) if n.startswith("SIG") and n not in {sorted(SIGNALS_OF_ALL)!r}]:
    delattr(signal, name)
opened = io.open
def refusing(path, *words, **options):
    if str(path).startswith(("/proc/self/cgroup", "/proc/cpuinfo", "/sys/fs")):  # psutil has its own way elsewhere
        raise FileNotFoundError(path)
    return opened(path, *words, **options)
io.open = builtins.open = refusing
def unlocked(self):
    raise NotImplementedError
filelock.FileLock._acquire = unlocked
from openmm_mdgen.commands.main import main
sys.argv = ["openmm-mdgen", *sys.argv[1:]]
main()
"""
    words = ["run", "AKLV", "--time", "20ps", "--seed", "1", "--out", "traj.nc"]
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "finished already" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "traj.nc", "traj.pdb", "traj.checkpoint.npz", "traj.manifest.json"
    }  # fmt: skip
