"""Generators by name: where a name is looked for, and what is said when it is nowhere, twice, or of no use."""

from pathlib import Path

import pytest

from models import INFO, small_flow, small_forward_flow
from openmm_mdgen import MDGenSimulation
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.generators import registry
from openmm_mdgen.generators.fine import FineGenerator
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.systems import implicit_system, langevin
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.tasks import Upsampling
from packages import install
from structures import peptide
from wandering import WanderingGenerator

LOADS = {"wanderer": "wandering:generator"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder beside which packages may be installed."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs packages on the path: (name, entry points, modules)."""

    def call(name, entry_points, modules=None):
        monkeypatch.syspath_prepend(str(install(tmp_path / name, name, entry_points, modules)))

    return call


def save(path):
    checkpoints.save(path, small_forward_flow(), INFO)


def test_no_name_is_the_bundled_weights():
    assert registry.named(None, device="cpu").info.name == registry.named("forward_peptide").info.name


def test_a_file_is_weights(folder):
    save(folder / "mine.safetensors")
    made = registry.named("mine.safetensors", device="cpu", ode_solver="euler", evaluations=3)
    assert isinstance(made, TrajectoryGenerator) and made.solver.evaluations == 3
    assert registry.loaded(Path("mine.safetensors")).info == INFO


def test_an_installed_packages_generator_is_made_when_it_is_named(folder, installed):
    source = "made = []\nfrom wandering import WanderingGenerator\n"
    source += "def make(*, device):\n    made.append(device)\n    return WanderingGenerator()\n"
    installed("counting-package", {"counted": "counting_module:make"}, {"counting_module": source})
    registry.named(None, device="cpu")
    import sys

    assert "counting_module" not in sys.modules  # nothing of other packages is imported before it is named
    assert isinstance(registry.named("counted", device="cpu"), WanderingGenerator)
    assert sys.modules.pop("counting_module").made == ["cpu"]


def test_a_simulation_takes_the_name(installed):
    installed("wandering-package", LOADS)
    topology, positions = peptide("AGSA")
    simulation = MDGenSimulation(
        topology, implicit_system(topology), langevin(temperature=300), generator="wanderer", seed=1
    )
    assert isinstance(simulation.generator, WanderingGenerator)
    simulation.context.setPositions(positions)
    simulation.step(500)  # 2 ps in steps of 4 fs
    assert simulation.currentStep == 500


@pytest.mark.parametrize("options", [{"evaluations": 10}, {"ode_solver": "euler"}], ids=str)
def test_options_of_weights_are_refused_for_other_generators(installed, options):
    installed("wandering-package", LOADS)
    with pytest.raises(MDGenError, match=f"'wanderer' of package 'wandering-package' .* has no option {[*options][0]}"):
        registry.named("wanderer", **options)


def test_frames_of_another_generator_are_not_filled_in(installed):
    installed("wandering-package", LOADS)
    filling = TrajectoryGenerator.load(device="cpu")
    with pytest.raises(MDGenError, match="frames of a WanderingGenerator cannot be filled in"):
        registry.loaded("wanderer", filling)


def test_upsampling_weights_fill_in(folder):
    save(folder / "forward.safetensors")
    checkpoints.save(folder / "fine.safetensors", small_flow(Upsampling(5)), ModelInfo("fine", 6, 2.0, 350.0))
    made = registry.loaded("forward.safetensors", "fine.safetensors", device="cpu")
    assert isinstance(made, FineGenerator) and made.frame_interval == 2.0
    with pytest.raises(CheckpointError, match="needs weights for upsampling"):
        registry.loaded("forward.safetensors", "forward.safetensors")


def test_an_unknown_name_is_told_what_there_is(installed):
    installed("wandering-package", LOADS)
    with pytest.raises(CheckpointError) as error:
        registry.named("nobody")
    for part in ("no weights at nobody", "forward_peptide", "installed packages offer wanderer"):
        assert part in str(error.value)


def test_an_unknown_scheme_is_refused_and_a_new_one_is_a_line(folder, monkeypatch):
    with pytest.raises(CheckpointError, match=r"'s3://' are not known; known prefixes: hf://"):
        registry.named("s3://someone/weights")
    save(folder / "fetched.safetensors")
    asked = []

    def fetch(name):
        asked.append(name)
        return folder / "fetched.safetensors"

    monkeypatch.setitem(checkpoints.PREFIXES, "test://", fetch)
    assert registry.named("test://someone/weights", device="cpu").info == INFO
    assert asked == ["test://someone/weights"]
    with pytest.raises(CheckpointError, match=r"known prefixes: hf://, test://"):
        registry.named("s3://someone/weights")


def test_a_name_that_two_packages_offer_is_told_with_both(installed):
    installed("first-package", LOADS)
    installed("second-package", LOADS)
    with pytest.raises(CheckpointError, match="'first-package' .* and of .*'second-package'"):
        registry.named("wanderer")


def test_a_name_of_bundled_weights_and_of_a_package_is_told_with_both(installed):
    installed("wandering-package", {"forward_peptide": "wandering:generator"})
    with pytest.raises(CheckpointError, match="bundled weights and of generator .*'wandering-package'"):
        registry.named("forward_peptide")


def test_a_name_of_a_package_and_of_a_file_is_told_with_both(folder, installed):
    installed("wandering-package", LOADS)
    save(folder / "wanderer")
    with pytest.raises(CheckpointError, match="the file .*wanderer and of generator .* write ./wanderer"):
        registry.named("wanderer")
    assert registry.named("./wanderer", device="cpu").info == INFO
    assert registry.named(Path("wanderer"), device="cpu").info == INFO


def test_a_name_of_bundled_weights_and_of_a_file_is_told_with_both(folder):
    save(folder / "forward_peptide")
    with pytest.raises(CheckpointError, match="bundled weights and of the file"):
        registry.named("forward_peptide")
    assert registry.named("./forward_peptide", device="cpu").info == INFO


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import a_module_that_is_not_there", "cannot be imported .ModuleNotFoundError"),
        ("raise RuntimeError('no licence')", "cannot be imported .RuntimeError: no licence"),
        ("", "cannot be imported .AttributeError"),
        ("def make(): pass", "cannot be made .TypeError"),
        ("def make(*, device): raise OSError('no such library')", "cannot be made .OSError: no such library"),
        ("def make(*, device): return None", "a NoneType, lacks frame_interval, temperature, check, propagator"),
        ("class make:\n    def __init__(self, *, device): self.temperature = 300", "lacks frame_interval, check, prop"),
    ],
    ids=["missing", "raises", "no callable", "other arguments", "fails", "nothing", "half"],
)
def test_a_package_of_no_use_is_named(installed, source, says):
    installed("odd-package", {"odd": "odd_module:make"}, {"odd_module": source})
    import sys

    sys.modules.pop("odd_module", None)
    with pytest.raises(CheckpointError, match=f"'odd' of package 'odd-package' .*{says}"):
        registry.named("odd")


def test_what_a_package_says_of_bad_input_is_passed_on(installed):
    source = "from openmm_mdgen.errors import CheckpointError\n"
    source += "def make(*, device): raise CheckpointError(f'{device} is not for me')\n"
    installed("choosy-package", {"choosy": "choosy_module:make"}, {"choosy_module": source})
    with pytest.raises(CheckpointError, match="^cuda:7 is not for me$"):
        registry.named("choosy", device="cuda:7")


def test_an_object_without_the_protocol_is_refused():
    with pytest.raises(MDGenError, match="protocol.Generator"):
        registry.loaded(object())
    generator = WanderingGenerator()
    assert registry.loaded(generator) is generator


@pytest.mark.parametrize("option", [{"device": "cpu"}, {"ode_solver": "euler"}, {"evaluations": 4}])
def test_options_of_loading_are_refused_for_what_has_been_loaded(option):
    with pytest.raises(MDGenError, match=f"{next(iter(option))}: the generator is an object"):
        registry.loaded(WanderingGenerator(), **option)
