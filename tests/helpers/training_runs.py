"""A training run that takes seconds, which several processes can begin or take up."""

from openmm_mdgen.data import read_folders
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.training import TrainingConfig, train
from tripeptides import INTERVAL

TINY = TrainingConfig(
    steps=20,
    batch_size=4,
    n_frames=5,
    frame_interval=2 * INTERVAL,
    width=16,
    n_layers=1,
    n_heads=2,
    warmup_steps=5,
    ema_decay=0.9,
    validate_every=6,
)
INFO = ModelInfo("tiny", 5, 2 * INTERVAL, 350.0)


def run_to_validate(folder, out, *, save_every=5):
    """The run that is killed below: trained on one peptide, validated on the other."""
    one, other = read_folders([folder])
    return train([one], out, TINY, INFO, validation=[other], save_every=save_every, progress=False)
