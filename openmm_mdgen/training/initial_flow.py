"""The flow that a run trains: a new one, or one that begins with other weights.

Axes as in `tokens`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from openmm_mdgen.data import Windows
from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tokens import N_TORSION_CHANNELS, Tokenizer
from openmm_mdgen.training.config import TrainingConfig

_SMALLEST_SCALE = 1e-3


def token_scales(
    flow: TrajectoryFlow, windows: Windows, *, batches: int, seed: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shift and scale that give each kind of token channel unit variance over the tokens that are not known.

    The kinds are w, (x, y, z) and the translation of the offset from each key frame, and torsions.

    Parameters
    ----------
    flow : TrajectoryFlow
        A flow whose tokenizer neither shifts nor scales.
    windows : Windows
    batches : int
        Number of batches of 32 windows to measure on.
    seed : int

    Returns
    -------
    shift, scale : tuple of float
        One number for each of the D channels of a token.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(batches):
        frames = windows.batch(32, rng)
        tokens, condition = flow.condition(frames)
        parts.append(tokens[(condition.mask == 0) & (frames.residue_mask[:, None] > 0)])
    shift: list[float] = []
    scale: list[float] = []
    for offset in torch.cat(parts)[:, :-N_TORSION_CHANNELS].split(7, dim=-1):
        w, xyz, translation = offset[:, 0], offset[:, 1:4], offset[:, 4:7]
        shift += [float(w.mean()), *[0.0] * 6]
        scale += [float(w.std()), *[float(xyz.std())] * 3, *[float(translation.std())] * 3]
    shift += [0.0] * N_TORSION_CHANNELS
    scale += [math.sqrt(0.5)] * N_TORSION_CHANNELS
    return tuple(shift), tuple(max(s, _SMALLEST_SCALE) for s in scale)


def new_flow(config: TrainingConfig, windows: Windows) -> TrajectoryFlow:
    """A flow with random weights, and with token scales that are measured on the windows.

    Where all chains have one length, the network has a table of positions, and takes this length alone. Else it takes
    chains up to the longest window, or up to `TrainingConfig.max_residues` where that is more.
    """
    task = config.make_task()
    has_one_length = {len(r.sequence) for r in windows.recordings} == {windows.n_residues}
    tokenizer = Tokenizer(n_key_frames=task.n_key_frames)
    network = NetworkConfig(
        token_width=tokenizer.width,
        n_key_frames=task.n_key_frames,
        width=config.width,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        ipa_head_width=16,
        ipa_points=4,
        ipa_value_points=4,
        max_residues=windows.n_residues if has_one_length else max(windows.n_residues, config.max_residues or 0),
        n_frames=config.n_frames,
        time_mixer=config.time_mixer,
        position_embedding=has_one_length,
        designs=task.generates_types,
        start_in_every_frame=config.start_in_every_frame,
        termini=config.termini,
        temperature=config.tell_temperature,
    )
    flow = TrajectoryFlow(FlowConfig(network, tokenizer, task))
    shift, scale = token_scales(flow, windows, batches=32, seed=config.seed)
    return rescaled(flow, replace(tokenizer, shift=shift, scale=scale))


def rescaled(flow: TrajectoryFlow, tokenizer: Tokenizer) -> TrajectoryFlow:
    """The same weights with another tokenizer."""
    other = TrajectoryFlow(replace(flow.config, tokenizer=tokenizer))
    other.load_state_dict(flow.state_dict())
    return other


def warm_started(flow: TrajectoryFlow, weights: str | Path) -> tuple[TrajectoryFlow, list[str]]:
    """A flow that begins with other weights, as far as their tensors fit by name and shape.

    From weights of the same task the token scales are taken too, as the tensors were made for them.

    Parameters
    ----------
    flow : TrajectoryFlow
        A new flow; its tensors stay where the weights have none of that name and shape.
    weights : str or path
        Name of bundled weights, or a file.

    Returns
    -------
    flow : TrajectoryFlow
    missing : list of str
        Names of the tensors that the weights lack.

    Raises
    ------
    CheckpointError
        If there are no such weights, or less than half of the parameters fit: the weights are of another size.
    """
    source, info = checkpoints.load(weights)
    if source.config.task == flow.config.task and source.config.tokenizer.width == flow.config.tokenizer.width:
        flow = rescaled(flow, source.config.tokenizer)
    given, own = source.network.state_dict(), flow.network.state_dict()
    fitting = {key: value for key, value in given.items() if key in own and value.shape == own[key].shape}
    if sum(own[key].numel() for key in fitting) < 0.5 * sum(value.numel() for value in own.values()):
        theirs = source.config.network
        raise CheckpointError(
            f"weights {info.name!r} do not fit: theirs are width {theirs.width}, {theirs.n_layers} layers, "
            f"{theirs.n_heads} heads. Give these sizes, or start without"
        )
    flow.network.load_state_dict(fitting, strict=False)
    return flow, sorted(own.keys() - fitting.keys())
