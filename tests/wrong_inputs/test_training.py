"""Wrong inputs of training from Python; the command's are in `test_commands`."""

from types import SimpleNamespace

import pytest
from openmm import unit

from openmm_mdgen import training
from openmm_mdgen.errors import CheckpointError, DataError, MissingPackageError
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.training import Devices, FineTuningConfig, RunOptions, TrainingConfig, fine_tune, train
from recorded import recording
from wrong import NAN, require_refused, table, without

TINY = {"steps": 1, "batch_size": 2, "n_frames": 5, "frame_interval": 1.0, "width": 16, "n_layers": 1, "n_heads": 2}
INFO = ModelInfo("x", 5, 1.0, 350.0)


@pytest.fixture(scope="module")
def given(peptide, tmp_path_factory):
    return SimpleNamespace(**vars(peptide), md=[recording("AGV")], free=tmp_path_factory.mktemp("runs"))


def trained(given, folder=None, config=None, **options):
    config = TrainingConfig(**{**TINY, **(config or {})})
    return train(options.pop("md", given.md), folder or given.free / "x", config, INFO, progress=False, **options)


@table(
    ("steps 0", lambda g: TrainingConfig(steps=0), "steps is 0", "from 1 on"),
    ("an interval of 0", lambda g: TrainingConfig(frame_interval=0), "frame_interval is 0", "or a quantity of time"),
    ("an interval NaN", lambda g: TrainingConfig(frame_interval=NAN), "frame_interval is nan", "picoseconds"),
    ("an interval in K", lambda g: TrainingConfig(frame_interval=1 * unit.kelvin), "kelvin", "no time"),
    ("a rate NaN", lambda g: TrainingConfig(learning_rate=NAN), "learning_rate is nan", "from 0 on"),
    ("a rate infinite", lambda g: TrainingConfig(learning_rate=float("inf")), "learning_rate is inf", "from 0 on"),
    ("a decay of 2", lambda g: TrainingConfig(ema_decay=2.0), "ema_decay is 2.0", "from 0 to 1"),
    ("padding of 2", lambda g: TrainingConfig(max_padding=2.0), "max_padding is 2.0", "from 0 to 1"),
    ("a large seed", lambda g: TrainingConfig(seed=2**40), "seed is", "from 0 to 4294967295"),
    ("an unknown task", lambda g: TrainingConfig(task="x"), "task 'x' is not one of", "interpolation"),
    ("an unknown optimiser", lambda g: TrainingConfig(optimizer="x"), "optimizer 'x' is not one of", "adamw"),
    ("fine-tuning of no steps", lambda g: FineTuningConfig(steps=0), "steps is 0", "from 1 on"),
    ("no hours", lambda g: RunOptions(hours=0), "hours is 0", "above 0"),
    ("hours NaN", lambda g: RunOptions(hours=NAN), "hours is nan", "above 0"),
    ("an abacus", lambda g: Devices("abacus"), "accelerator 'abacus' is not one of", "auto, cpu, gpu"),
    ("no devices", lambda g: Devices(devices=0), "devices is 0", "from 1 on"),
    (
        "heads that do not fit",
        lambda g: trained(g, config={"width": 10}),
        "width 10",
        "a multiple of twice the 2 heads",
    ),
    ("hours below 0", lambda g: trained(g, hours=-1), "hours is -1", "above 0"),
    ("a run in a file", lambda g: trained(g, g.folder / "a.pdb"), "cannot be written to", "another folder"),
    ("windows that are longer", lambda g: trained(g, config={"n_frames": 999}), "lasts", "fewer frames", DataError),
    (
        "an interval between",
        lambda g: trained(g, config={"frame_interval": 0.3}),
        "not a multiple",
        "Choose",
        DataError,
    ),
    ("weights unknown", lambda g: trained(g, init="absent"), "no weights at absent", "bundled", CheckpointError),
    (
        "nothing known",
        lambda g: trained(g, config={"task": "inpainting", "designed": (0, 1, 2)}),
        "has 3",
        "some known",
    ),
    (
        "fine-tuning of nothing",
        lambda g: fine_tune(g.md, g.free / "x", "absent"),
        "no weights",
        "bundled",
        CheckpointError,
    ),
    (
        "training without Lightning",
        lambda g: without("lightning.pytorch", lambda: training.train),
        "training needs lightning",
        "pip install 'openmm_mdgen[train]'",
        MissingPackageError,
    ),
    (
        "fine-tuning without PyYAML",
        lambda g: without("yaml", lambda: training.fine_tune),
        "training needs pyyaml",
        "pip install 'openmm_mdgen[train]'",
        MissingPackageError,
    ),
    ("fine-tuning all", lambda g: tuned(g, FineTuningConfig(hold_out=1.0)), "share of 1", "between 0 and 1"),
)
def test_it_is_refused(row, given):
    require_refused(row, given)
    assert not list(given.free.iterdir())


def tuned(given, config):
    return fine_tune(given.md, given.free / "x", "forward_peptide", config)


def test_quantities_of_time_are_taken():
    assert TrainingConfig(frame_interval=1 * unit.nanosecond).frame_interval == 1000
