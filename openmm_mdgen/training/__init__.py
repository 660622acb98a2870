"""Training of the velocity network on real trajectories.

A *step* is one update of the weights from one global batch of windows. The batch, its noise and its flow times are
functions of the seed and the step alone, so a run that is stopped and taken up again sees what it would have seen.
"""

from openmm_mdgen.training.config import TrainingConfig
from openmm_mdgen.training.fine_tuning import FineTuned, fine_tune
from openmm_mdgen.training.initial_flow import token_scales
from openmm_mdgen.training.run import Devices, require_writable, train

__all__ = ["Devices", "FineTuned", "TrainingConfig", "fine_tune", "require_writable", "token_scales", "train"]
