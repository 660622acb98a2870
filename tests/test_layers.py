"""Each layer imports only what stands above it, and OpenMM is met only where it belongs."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "openmm_mdgen"

# From the top down. A module may import its own layer and those before it. A folder's name stands for all in it.
LAYERS = {
    "common": ["errors", "files", "protocol"],
    "facts": ["residues"],
    "geometry": ["rigid", "atom14", "backbone"],
    "adapter": ["topology", "given", "reconstruct", "rings", "clashes", "blending", "placement"],
    "tokens": ["tokens", "tasks"],
    "learning": ["interpolant", "dirichlet", "ode", "network", "flow"],
    "model": ["checkpoints", "generator", "propagator", "bridging", "inpainting", "fine"],
    "OpenMM": [
        "schedule",
        "rollout",
        "restart",
        "landing",
        "gate",
        "record",
        "hybrid",
        "checks",
        "reporters",
        "simulation",
    ],
    "around it": [
        "structure",
        "designs",
        "data",
        "training",
        "analysis",
        "report",
        "steering",
        "exploration",
        "commands",
        "cli",
    ],
}
MEETS_OPENMM = {"OpenMM", "around it"}
RANK = {module: rank for rank, modules in enumerate(LAYERS.values()) for module in modules}
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def name_in_package(path: Path) -> str:
    """``network`` for network/ipa.py, ``rigid`` for rigid.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Full names of all that is imported anywhere in a module, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def without_type_checking(tree: ast.Module) -> ast.Module:
    """The module without what only type checkers read."""
    body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    return ast.Module(body, [])


def ours(tree: ast.AST) -> set[str]:
    names = (name.split(".") for name in imports(tree))
    return {parts[1] for parts in names if parts[0] == "openmm_mdgen" and len(parts) > 1}


def upward(module: str, tree: ast.AST) -> set[str]:
    """Modules of lower layers that this one imports."""
    return {name for name in ours(tree) if RANK.get(name, 0) > RANK[module]}


def meets_openmm(tree: ast.Module) -> bool:
    return any(name.split(".")[0] in ("openmm", "simtk") for name in imports(without_type_checking(tree)))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_stands_above_it(path):
    module = name_in_package(path)
    assert module in RANK, f"give {module} its place in LAYERS and in the table of CONTRIBUTING.md"
    assert not upward(module, parse(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_openmm_is_imported_in_its_own_layer_and_below_only(path):
    assert LAYER[name_in_package(path)] in MEETS_OPENMM or not meets_openmm(parse(path))


def test_every_place_in_the_table_is_taken():
    assert set(RANK) == {name_in_package(path) for path in FILES}


def test_the_package_itself_imports_none_of_its_modules_at_once():
    tree = without_type_checking(parse(PACKAGE / "__init__.py"))
    assert not ours(tree) and not meets_openmm(tree)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rigid", "from openmm_mdgen.tokens import Frames"),
        ("rigid", "def f():\n    from openmm_mdgen import tokens"),
        ("flow", "import openmm_mdgen.generator"),
        ("generator", "if TYPE_CHECKING:\n    from openmm_mdgen.simulation import MDGenSimulation"),
    ],
)
def test_an_upward_import_is_seen(module, source):
    assert upward(module, ast.parse(source))


@pytest.mark.parametrize("source", ["import openmm.app", "def f():\n    from openmm import unit"])
def test_an_import_of_openmm_is_seen(source):
    assert meets_openmm(ast.parse(source))
