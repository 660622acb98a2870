"""The documentation: the site builds without a warning, names are documented, and the pages' scripts run."""

import ast
import dataclasses
import importlib
import inspect
import re
import shlex
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import typer
from openmm import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
SNIPPETS = ROOT / "docs" / "snippets"
PUBLIC = ("openmm_mdgen", "openmm_mdgen.steering", "openmm_mdgen.exploration")
FUNCTIONS_OF_MD = (
    "designed_peptides.PeptideBuilder",
    "local_swarm.LocalSwarm",
    "peptides.build_peptide",
    "prepare.prepare",
    "production.planned",
    "production.simulate",
    "structures.load_structure",
    "structures.write_pdb",
    "swarm.Swarm",
    "systems.implicit_system",
    "systems.langevin",
    "systems.relaxed",
    "systems.solvated",
)
PROTOCOL = ("Generator", "Propagator", "BatchPropagator", "GeneratedSegment", "assert_conforms", "draw")

# Scripts of the pages in an order in which each finds what it needs, and how the tests shorten them.
QUICK = {
    "look.py": {},
    "simulation.py": {"step(2_500_000)": "step(25_000)"},
    "rollout.py": {"n_frames=1000": "n_frames=20", "n_frames=500, replicas=8": "n_frames=20, replicas=2"},
    "restart.py": {"250_000": "5_000", "step(500_000)": "step(10_000)"},
    "evaluate.py": {},
    "upsampling.py": {"[:100]": "[:3]"},
}
SLOW = {
    "hybrid.py": {"generate=490": "generate=90", "retries=2": "retries=0", "100 * frame": "10 * frame"},
    "hybrid_look.py": {},
    "paths.py": {"2000": "300", "paths=16": "paths=4", "time=100.0": "time=2.0"},
    "design.py": {"samples=20": "samples=2"},
    "explore.py": {
        "3000": "100",
        "Swarm(pdb.topology, pdb.positions)": "Swarm(pdb.topology, pdb.positions, n_places=8, seed=0)",
        "runs=16, piece=200.0, lagtime=40.0": "runs=8, piece=40.0, frame_interval=0.2, lagtime=0.2, n_microstates=4",
        "n_rounds < 3": "n_rounds < 1",
    },
    "upsampling_simulation.py": {"step(25_000)": "step(2_500)"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # with --quiet, warnings would not be counted
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the first command of the pages leaves, and a stand-in for MD."""
    from openmm_mdgen import TrajectoryGenerator
    from openmm_mdgen.md.peptides import build_peptide
    from openmm_mdgen.md.structures import write_pdb
    from openmm_mdgen.md.systems import relaxed

    folder = tmp_path_factory.mktemp("pages")
    topology, built = build_peptide("AKLV", seed=1)
    positions = relaxed(topology, built)
    md = folder / "md" / "AKLV_0"
    md.mkdir(parents=True)
    for path in (folder / "traj.pdb", md / "AKLV_0.pdb"):
        write_pdb(path, topology, positions)
    ours, other = TrajectoryGenerator.load().rollouts(topology, positions, 245, replicas=2, seed=1)
    ours.save_dcd(str(folder / "traj.dcd"))
    other.time = np.arange(1.0, 1 + len(other))  # ps, as real MD has them
    other.save_xtc(str(md / "AKLV_0.xtc"))
    return folder


def run(name, shorter, folder, monkeypatch):
    text = (SNIPPETS / name).read_text()
    for long, short in shorter.items():
        assert long in text, f"{name} has no {long!r} any more: the test would run it in full"
        text = text.replace(long, short)
    monkeypatch.chdir(folder)
    exec(compile(text, str(SNIPPETS / name), "exec"), {"__name__": "__main__"})


def test_site_is_built_without_a_warning_and_has_its_pages(site):
    for page in ("index", "first_hour/index", "concepts/index", "reference/errors/index", "molecules/index"):
        assert (site / f"{page}.html").is_file()


def test_every_card_of_bundled_weights_has_a_page(site):
    cards = list((ROOT / "openmm_mdgen" / "weights").glob("*.md"))
    assert cards and all((site / "weights" / card.stem / "index.html").is_file() for card in cards)


def test_every_public_name_has_an_entry_in_the_reference(site):
    content = (site / "objects.inv").read_bytes()
    listed = zlib.decompress(content.split(b"zlib.\n", 1)[1]).decode()
    names = {line.split(" ")[0] for line in listed.splitlines()}
    missing = [label for label, thing in public() if f"{thing.__module__}.{thing.__qualname__}" not in names]
    assert not missing


def test_table_of_options_has_every_option_that_the_help_tells(site):
    from openmm_mdgen.commands.main import app as commands

    page = (site / "reference" / "options" / "index.html").read_text()
    group, n_found = typer.main.get_command(commands), 0
    for name in group.commands:
        told = CliRunner().invoke(commands, [name, "--help"]).output
        section = page.split(f'id="openmm-mdgen-{name}"', 1)[1].split("<h2", 1)[0]
        for option in set(re.findall(r"^ +(--[a-z-]+)", told, flags=re.MULTILINE)) - {"--help"}:
            assert option in section, f"{name} {option}"
            n_found += 1
    assert n_found > 120


def test_commands_in_the_pages_are_commands_with_their_options():
    from openmm_mdgen.commands.main import app as commands

    main, wrong, n_seen = typer.main.get_command(commands), [], 0
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text().replace("\\\n", " ")
        lines = re.findall(r"^ *openmm-mdgen .*$", text, flags=re.MULTILINE)
        for line in lines + re.findall(r"`(openmm-mdgen [^`]*)`", text.replace("\n", " ")):
            words = shlex.split(line.split(";")[0], comments=True)[1:]
            command = main
            while words and not words[0].startswith("-") and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            known = {"--help"}.union(*(parameter.opts + parameter.secondary_opts for parameter in command.params))
            unknown = [word for word in words if word.startswith("--") and word not in known]
            is_command = command is not main or words[:1] == ["COMMAND"] or words[0].startswith("-")
            n_seen += 1
            wrong += [] if is_command and not unknown else [f"{page.name}: {line}"]
    assert n_seen > 50 and not wrong, "\n".join(wrong)


def said():
    """All that the package says, with ``{}`` for what is filled in, in one text."""
    found = []
    for path in (ROOT / "openmm_mdgen").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        str(getattr(part, "value", "")) if isinstance(part, ast.Constant) else "{}"
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_messages_of_the_page_of_errors_are_those_of_the_package():
    text, unknown, n_seen = said(), [], 0
    rows = re.findall(r"^\| (.*?) \|", (ROOT / "docs" / "reference" / "errors.md").read_text(), flags=re.MULTILINE)
    for message in [message for row in rows for message in re.findall(r"`(.+?)`", row)]:
        pieces = re.split(r"\.\.\.|\S*\d\S*|'[^']*'|[()]", message)  # without what is filled in
        longest = max(pieces, key=len).strip(" .,:;")
        n_seen += 1
        unknown += [] if longest in text else [f"{message}: {longest!r}"]
    assert n_seen > 100 and not unknown, "\n".join(unknown)


def public():
    """Labels and objects of all public names that can be called."""
    for module in PUBLIC:
        here = importlib.import_module(module)
        yield from ((f"{module}.{name}", getattr(here, name)) for name in here.__all__)
    for path in FUNCTIONS_OF_MD:
        module, name = path.split(".")
        yield path, getattr(importlib.import_module(f"openmm_mdgen.md.{module}"), name)
    protocol = importlib.import_module("openmm_mdgen.protocol")
    yield from ((f"protocol.{name}", getattr(protocol, name)) for name in PROTOCOL)


def documented():
    """Each public function, and each public method of a public class, with its own and its class's docstring."""
    for label, thing in public():
        if not inspect.isclass(thing):
            yield label, thing, inspect.getdoc(thing) or ""
            continue
        about = inspect.getdoc(thing) or ""
        if getattr(thing, "_is_protocol", False):
            continue
        for name, member in vars(thing).items():
            function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            is_written = inspect.isfunction(function) and function.__code__.co_filename != "<string>"
            if is_written and (name == "__init__" or not name.startswith("_")):
                yield f"{label}.{name}", function, f"{about}\n{inspect.cleandoc(function.__doc__ or '')}"


def section(text, heading):
    """A section of numpydoc, all of that name together."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", text, flags=re.MULTILINE)
    return "\n".join(body for name, body in zip(parts[1::2], parts[2::2], strict=True) if name == heading)


@pytest.mark.parametrize(("label", "thing"), list(public()), ids=lambda value: value if isinstance(value, str) else "")
def test_public_names_say_what_they_are_and_take(label, thing):
    text = inspect.getdoc(thing) or ""
    assert len(text.split("\n")[0].split()) > 2, f"{label} has no docstring"
    if inspect.isclass(thing) and getattr(thing, "_is_protocol", False):
        return
    told = section(text, "Parameters")
    if dataclasses.is_dataclass(thing) and not told:  # a result, which users do not make
        return
    for parameter in inspect.signature(thing).parameters.values():
        name = parameter.name
        is_told = re.search(rf"(^|[ ,*]){re.escape(name)}(,| :|$)", told, flags=re.MULTILINE)
        assert is_told, f"{label}: {name}"


TIMES_AND_LENGTHS = re.compile(
    r"time|interval|duration|friction|temperature|integrate|generate|positions|starts|frames$"
)
UNITS = re.compile(r"\b(ps|nm|K|kelvin|picoseconds?|nanomet\w+|1/ps|quantity|Quantity|unit\w*|kJ/mol)\b")


def test_times_lengths_and_temperatures_name_their_unit():
    lacking, n_seen = [], 0
    for label, _, text in documented():
        entries = re.split(r"\n(?=[*\w])", section(text, "Parameters"))
        for entry in entries:
            name = entry.split(":")[0].strip()
            is_number = re.search(r"float|array|\)", entry.split("\n")[0])
            if TIMES_AND_LENGTHS.search(name) and is_number and not re.search("n_frames", name):
                n_seen += 1
                lacking += [] if UNITS.search(entry) else [f"{label}: {name}"]
    assert n_seen > 40 and not lacking


def test_what_raises_says_so():
    lacking, n_seen = [], 0
    for label, function, text in documented():
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        raised = {
            node.exc.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        }
        if raised:
            n_seen += 1
            told = section(text, "Raises") + text
            lacking += [f"{label}: {name}" for name in raised if name not in told]
    assert n_seen > 10 and not lacking


@pytest.mark.parametrize("name", QUICK)
def test_scripts_of_the_pages_run(name, folder, monkeypatch):
    run(name, QUICK[name], folder, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_longer_scripts_of_the_pages_run(name, folder, monkeypatch):
    run(name, SLOW[name], folder, monkeypatch)


def test_every_script_of_the_pages_is_run_and_shown():
    pages = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    for path in SNIPPETS.glob("*.py"):
        assert path.name in QUICK or path.name in SLOW
        assert f'--8<-- "{path.name}' in pages


def test_scripts_leave_what_the_pages_say(folder, monkeypatch):
    run("simulation.py", QUICK["simulation.py"], folder, monkeypatch)
    trajectory = mdtraj.load(folder / "script.dcd", top=folder / "traj.pdb")
    assert len(trajectory) == 10 and trajectory.n_atoms == app.PDBFile(str(folder / "traj.pdb")).topology.getNumAtoms()
