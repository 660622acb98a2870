"""Small forward weights that are told the temperature, and say so in what they generate."""

import torch

from dipeptide import FRAME, STEP_SIZE
from models import NEAR_KEY_FRAME, SMALL, random_flow
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Tokenizer


def tempered(seed=1):
    """Weights of 300, 310 and 350 K that take the dipeptide, with segments of 5 frames."""
    network = NetworkConfig(**SMALL, max_residues=2, temperature=True)
    flow = random_flow(FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()), scale=0.05, seed=seed)
    with torch.no_grad():
        flow.network.temperature_embedder.linear.weight.mul_(10)  # a difference that shows in every frame
    known = (300.0, 310.0, 350.0)
    info = ModelInfo("told", 6, FRAME * STEP_SIZE, 350.0, backbone="rigids", temperatures=known)
    return TrajectoryGenerator(flow, info, Euler(2), torch.device("cpu"))
