"""Small weights in files as the published ones are, with random numbers."""

import argparse

import torch

from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import TrajectoryFlow

SMALL_ATLAS = {
    "embed_dim": 16,
    "num_layers": 1,
    "mha_heads": 2,
    "ipa_heads": 2,
    "ipa_head_dim": 4,
    "ipa_qk": 2,
    "ipa_v": 2,
    "crop": 256,
    "num_frames": 4,
    "abs_pos_emb": False,
    "prepend_ipa": True,
    "sim_condition": True,
    "atlas": True,
    "suffix": "_i40",
    "sampling_method": "euler",
}


def write_published(path, *, scale=0.02, **changes):
    """A published checkpoint with the saved arguments of ATLAS weights, but for changes; numbers of that size."""
    arguments = SMALL_ATLAS | changes
    flow = TrajectoryFlow(checkpoints.published_config(arguments))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    state = {f"model.{name}": value for name, value in flow.network.state_dict().items()}
    torch.save({"hyper_parameters": {"args": argparse.Namespace(**arguments)}, "state_dict": state}, path)
    return path
