"""Small models and molecules that several tests share."""

import math

import torch

from openmm_mdgen.geometry.rigid import Rigid, rotation_from_quaternion
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import ForwardSimulation, Task
from openmm_mdgen.model.tokens import Frames, Tokenizer

SMALL = {
    "width": 16,
    "n_layers": 2,
    "n_heads": 2,
    "ipa_head_width": 4,
    "ipa_points": 2,
    "ipa_value_points": 2,
    "n_frames": 6,
}
INFO = ModelInfo("small", n_frames=6, frame_interval=10.0, temperature=350.0)
# Offsets that stay near the identity, so that generated chains hold together.
NEAR_KEY_FRAME = {"shift": (1.0, *[0.0] * 20), "scale": (0.02, *[0.05] * 3, *[0.1] * 3, *[0.7] * 14)}


def random_flow(config: FlowConfig, *, scale: float = 0.2, seed: int = 0) -> TrajectoryFlow:
    """A flow whose every parameter matters: a fresh one starts with branches at zero."""
    flow = TrajectoryFlow(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return flow


def small_forward_flow(seed: int = 0) -> TrajectoryFlow:
    config = FlowConfig(NetworkConfig(**SMALL), Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation())
    return random_flow(config, scale=0.05, seed=seed)


# The same for offsets to both ends of a path.
NEAR_BOTH_ENDS = {
    "n_key_frames": 2,
    "shift": (1.0, *[0.0] * 6, 1.0, *[0.0] * 20),
    "scale": (*(0.02, *[0.05] * 3, *[0.1] * 3) * 2, *[0.7] * 14),
}


def small_flow(task: Task, seed: int = 0) -> TrajectoryFlow:
    """For tasks other than forward simulation."""
    options = NEAR_KEY_FRAME if task.n_key_frames == 1 else NEAR_BOTH_ENDS
    tokenizer = Tokenizer(**options)
    network = NetworkConfig(
        **SMALL,
        token_width=tokenizer.width,
        n_key_frames=task.n_key_frames,
        designs=task.generates_types,
    )
    return random_flow(FlowConfig(network, tokenizer, task), scale=0.05, seed=seed)


def random_frames(seed, n_batch=2, n_frames=6, n_residues=4):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_batch, n_frames, n_residues)
    aatype = torch.randint(20, (n_batch, n_residues), generator=generator)
    quaternions = torch.randn(n_batch, 1, n_residues, 4, generator=generator)
    quaternions = quaternions + 0.4 * torch.randn(*shape, 4, generator=generator)
    translations = 3 * torch.randn(n_batch, 1, n_residues, 3, generator=generator)
    translations = translations + torch.randn(*shape, 3, generator=generator)
    angles = 2 * math.pi * torch.rand(*shape, 7, generator=generator)
    mask = torch.ones(n_batch, n_residues, 7)
    mask[:, 0, :2] = 0
    return Frames(
        aatype,
        Rigid(rotation_from_quaternion(quaternions), translations),
        torch.stack([angles.sin(), angles.cos()], dim=-1),
        mask,
        torch.ones(n_batch, n_residues),
    )
