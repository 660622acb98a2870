"""Residues designed, types and motion, for the motion of the others.

Axes as in `tokens`. Lengths in ångström inside; trajectories in nanometre and picosecond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mdtraj
import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.geometry.atom14 import atom14_from_rigids, backbone_points, dihedral
from openmm_mdgen.geometry.residues import ATOM14_NAMES, ONE_TO_THREE, RESTYPES
from openmm_mdgen.geometry.rigid import Rigid, superposition
from openmm_mdgen.model.tasks import Inpainting
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ANGSTROM_PER_NM, ProteinChain
from openmm_mdgen.seeds import segment_seed

if TYPE_CHECKING:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

_FIRST_CHI = 3
_BATCH = 16  # samples at once


@dataclass(frozen=True, eq=False)
class Design:
    """One sample.

    The trajectory has heavy atoms with ideal geometry: backbones of all residues, side chains of known residues as
    given, those of designed ones stretched out, as their torsions are not generated.
    """

    sequence: str  # one-letter codes
    designed: tuple[int, ...]  # residues from 0
    trajectory: mdtraj.Trajectory | None  # None from weights that give sequences alone


def frequencies(designs: Iterable[Design]) -> list[tuple[str, int]]:
    """Sequences and how often each was designed, the most frequent first, then by letters."""
    counts = Counter(design.sequence for design in designs)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def designs(
    generator: TrajectoryGenerator,
    chain: ProteinChain,
    positions: np.ndarray,
    interval: float,
    *,
    designed: Sequence[int] | None,
    samples: int,
    seed: int,
) -> list[Design]:
    """See `TrajectoryGenerator.inpaint`; positions (T, N, 3) nm, a frame each `interval` ps."""
    task = generator.flow.config.task
    assert isinstance(task, Inpainting)
    _check_designed(task, designed, chain, generator.info.name)
    if samples < 1:
        raise MDGenError(f"samples {samples}: ask for at least one")
    index = _windows(generator, len(positions), interval, samples)
    made: list[Design] = []
    for first in range(0, samples, _BATCH):
        members = range(first, min(first + _BATCH, samples))
        frames = _frames(chain, positions[index[members.start : members.stop]]).to(generator.device)
        seeds = [segment_seed(seed, k) for k in members]
        made += _with_motion(generator, frames, seeds) if task.generates_motion else _types(generator, frames, seeds)
    return made


def _check_designed(task: Inpainting, designed: Sequence[int] | None, chain: ProteinChain, name: str) -> None:
    n, own = len(chain.sequence), tuple(sorted(task.designed))
    wanted = own if designed is None else tuple(sorted(set(designed)))
    outside = [k for k in wanted if not 0 <= k < n]
    if outside:
        raise MDGenError(f"designed residue {outside[0]}: the chain has {n} residues, counted from 0")
    if len(wanted) == n:
        raise MDGenError("all residues are designed: leave some known, whose motion the design is for")
    if wanted != own:
        theirs = "; ".join(chain.residue_labels[k] for k in own if k < n)
        asked = "; ".join(chain.residue_labels[k] for k in wanted) or "none"
        raise MDGenError(f"designed are to be {asked}, but weights {name!r} design {theirs}")


def _windows(generator: TrajectoryGenerator, n_frames: int, interval: float, samples: int) -> np.ndarray:
    """(samples, T) numbers of frames."""
    own, n = generator.frame_interval, generator.info.n_frames
    stride = round(own / interval)
    if stride < 1 or abs(stride * interval - own) > 1e-3 * own:
        raise MDGenError(
            f"the trajectory has a frame each {interval:g} ps, and weights {generator.info.name!r} take frames {own:g} "
            "ps apart: give those, or a whole number of times as many; or state frame_interval if the times are wrong"
        )
    span = (n - 1) * stride + 1
    if n_frames < span:
        raise MDGenError(
            f"the trajectory lasts {(n_frames - 1) * interval:g} ps, and a window of weights {generator.info.name!r} "
            f"{(n - 1) * own:g} ps: give a longer one"
        )
    starts = np.linspace(0, n_frames - span, samples).round().astype(int)
    return starts[:, None] + stride * np.arange(n)


def _frames(chain: ProteinChain, positions: np.ndarray) -> Frames:
    """Windows (B, T, N, 3) nm, each frame laid over the first of its window."""
    positions = positions - positions[:, :, chain.atom_indices].mean(axis=2, keepdims=True)
    aatype = torch.from_numpy(chain.aatype).expand(len(positions), -1)
    frames = Frames.from_atom14(aatype, chain.atom14(positions).float())
    points = backbone_points(frames.rigids)
    motion = superposition(points, points[:, :1], torch.ones_like(points[..., 0]))
    return Frames(aatype, motion[..., None] @ frames.rigids, frames.torsions, frames.torsion_mask, frames.residue_mask)


def _types(generator: TrajectoryGenerator, frames: Frames, seeds: list[int]) -> list[Design]:
    """Sequences drawn from the network's probabilities."""
    with torch.no_grad():
        probabilities = generator.flow.type_logits(frames).softmax(-1).cpu()
    generator.evaluations += 1
    drawn = [
        torch.multinomial(p, 1, generator=torch.Generator().manual_seed(seed))[:, 0]
        for p, seed in zip(probabilities, seeds, strict=True)
    ]
    return [_design(generator, sequence, None) for sequence in _sequences(generator, frames, torch.stack(drawn))]


def _with_motion(generator: TrajectoryGenerator, frames: Frames, seeds: list[int]) -> list[Design]:
    config = generator.flow.config
    task, tokenizer = config.task, config.tokenizer
    assert isinstance(task, Inpainting)
    tokens = generator.sample(frames, seeds)
    rigids, torsions = tokenizer.decode(tokens, *task.key_rigids(frames))
    if not tokenizer.torsions:
        torsions = _backbone_torsions(rigids, torsions)
    hidden = task.is_designed(frames.aatype.shape[-1]).to(tokens.device)
    stretched = torsions.new_tensor([0.0, -1.0])
    torsions = torch.cat([torsions[..., :_FIRST_CHI, :], stretched.expand_as(torsions[..., _FIRST_CHI:, :])], dim=-2)
    known = ~hidden[:, None]
    torsions = torch.where(known[..., None], frames.torsions, torsions)
    rigids = Rigid(
        torch.where(known[..., None], frames.rigids.rotation, rigids.rotation),
        torch.where(known, frames.rigids.translation, rigids.translation),
    )
    types = tokens[..., tokenizer.width :].mean(1).argmax(-1).cpu()
    sequences = _sequences(generator, frames, types)
    aatype = torch.tensor([[RESTYPES.index(letter) for letter in s] for s in sequences], device=tokens.device)
    atoms = atom14_from_rigids(aatype[:, None], rigids, torsions).cpu().numpy() / ANGSTROM_PER_NM
    time = np.arange(atoms.shape[1]) * generator.frame_interval
    return [
        _design(generator, sequence, _heavy_atoms(sequence, xyz, time))
        for sequence, xyz in zip(sequences, atoms, strict=True)
    ]


def _design(generator: TrajectoryGenerator, sequence: str, trajectory: mdtraj.Trajectory | None) -> Design:
    task = generator.flow.config.task
    assert isinstance(task, Inpainting)
    return Design(sequence, task.designed, trajectory)


def _sequences(generator: TrajectoryGenerator, frames: Frames, types: Tensor) -> list[str]:
    """Types (B, L) at designed residues, the given ones elsewhere, as letters."""
    task = generator.flow.config.task
    assert isinstance(task, Inpainting)
    hidden = task.is_designed(types.shape[-1])
    chosen = torch.where(hidden, types, frames.aatype.cpu())
    return ["".join(RESTYPES[k] for k in row) for row in chosen.tolist()]


def _backbone_torsions(rigids: Rigid, torsions: Tensor) -> Tensor:
    """Torsions with omega, phi and psi as rigids (B, T, L) have them; what reaches beyond the chain is stretched."""
    n, ca, c = backbone_points(rigids).unflatten(-2, (-1, 3)).unbind(-2)  # (B, T, L, 3) each
    stretched = torsions.new_tensor([0.0, -1.0])
    found = stretched.repeat(*torsions.shape[:-2], 3, 1)
    before, after = slice(None, -1), slice(1, None)
    quadruples = (
        (ca[..., before, :], c[..., before, :], n[..., after, :], ca[..., after, :]),
        (c[..., before, :], n[..., after, :], ca[..., after, :], c[..., after, :]),
        (n[..., before, :], ca[..., before, :], c[..., before, :], n[..., after, :]),
    )
    for k, (points, where) in enumerate(zip(quadruples, (after, after, before), strict=True)):
        found[..., where, k, :] = dihedral(torch.stack(points, dim=-2))
    return torch.cat([found, torsions[..., _FIRST_CHI:, :]], dim=-2)


def _heavy_atoms(sequence: str, atom14: np.ndarray, time: np.ndarray) -> mdtraj.Trajectory:
    """(T, L, 14, 3) nm as a trajectory."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    slots = []
    for number, letter in enumerate(sequence):
        three = ONE_TO_THREE[letter]
        residue = topology.add_residue(three, chain, resSeq=number + 1)
        for slot, name in enumerate(ATOM14_NAMES[three]):
            if name:
                topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
                slots.append((number, slot))
    topology.create_standard_bonds()
    rows, columns = np.array(slots).T
    return mdtraj.Trajectory(atom14[:, rows, columns], topology, time=time)
