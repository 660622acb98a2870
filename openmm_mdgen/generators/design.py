"""Inpainting: some residues, their types and their motion, designed for the motion of the others.

Axes as in `model.tokens`. Lengths in ångström inside; trajectories in nanometre and picosecond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import mdtraj
import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.arguments import require, whole
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.generators.sampler import Sampler, frames_of
from openmm_mdgen.geometry.atom14 import atom14_from_rigids, backbone_points, dihedral
from openmm_mdgen.geometry.residues import ATOM14_NAMES, ONE_TO_THREE, RESTYPES
from openmm_mdgen.geometry.rigid import Rigid, superposition
from openmm_mdgen.geometry.units import to_nm
from openmm_mdgen.model.tasks import Inpainting
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.seeds import segment_seed
from openmm_mdgen.times import RECORDED, whole_number

_FIRST_CHI = 3
_BATCH = 16  # samples at once
# Weights that were measured to find residues of unseen peptides no better than chance, by `checkpoints.checksum`, with
# the share of residues that they and chance get right.
_NO_BETTER_THAN_CHANCE = {"0d5bd168c01e6f5052a8b80fea3891bc96040386ba9e506f247150dc5f1771a6": (0.038, 0.050)}


@dataclass(frozen=True, eq=False)
class Design:
    """One designed sequence with its motion.

    Parameters
    ----------
    sequence : str
        One-letter codes of all residues.
    designed : tuple of int
        Which residues were designed, counted from 0.
    trajectory : mdtraj.Trajectory or None
        Heavy atoms with ideal geometry: the backbone of all residues, side chains of known residues as given, and those
        of designed residues stretched out, since their torsions are not generated. None from weights that give
        sequences alone.
    """

    sequence: str
    designed: tuple[int, ...]
    trajectory: mdtraj.Trajectory | None


def frequencies(designs: Iterable[Design]) -> list[tuple[str, int]]:
    """How often each sequence was designed, as (sequence, count): the most frequent first, then by letters."""
    counts = Counter(design.sequence for design in designs)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


class Designer:
    """Weights of inpainting.

    Parameters
    ----------
    sampler : Sampler
    accept_chance : bool
        Whether weights may be used that were measured to find residues no better than chance.

    Raises
    ------
    CheckpointError
        If the weights are for another task, or no better than chance where that is not accepted.
    """

    def __init__(self, sampler: Sampler, *, accept_chance: bool = False) -> None:
        self.task = sampler.require(Inpainting)
        self.sampler = sampler
        if not accept_chance:
            self._require_better_than_chance()

    def _require_better_than_chance(self) -> None:
        if measured := _NO_BETTER_THAN_CHANCE.get(self.sampler.checksum):
            right, by_chance = measured
            raise CheckpointError(
                f"weights {self.sampler.info.name!r} find {right:.1%} of the residues of peptides that they were not "
                f"trained on, and chance finds {by_chance:.1%}: name weights of your own or published ones, such as "
                "'mdgen/inpainting', or accept chance (--accept-chance, accept_chance=True) to see how design works"
            )

    def designs(
        self,
        chain: ProteinChain,
        positions: np.ndarray,
        interval: float,
        *,
        designed: Sequence[int] | None,
        samples: int,
        seed: int,
    ) -> list[Design]:
        """Residues for the motion of the others.

        Parameters
        ----------
        chain : ProteinChain
        positions : (T, N, 3), nm
        interval : float
            Picoseconds between these frames.
        designed : sequence of int, optional
            Residues from 0. Default, and the only ones possible: those that the weights design.
        samples : int
        seed : int

        Raises
        ------
        MDGenError
            If the weights design other residues, or the frames do not fit theirs.
        """
        self._check_designed(designed, chain)
        index = self._windows(len(positions), interval, samples)
        made: list[Design] = []
        for first in range(0, samples, _BATCH):
            members = range(first, min(first + _BATCH, samples))
            frames = _frames(chain, positions[index[members.start : members.stop]]).to(self.sampler.device)
            seeds = [segment_seed(seed, k) for k in members]
            made += self._with_motion(frames, seeds) if self.task.generates_motion else self._types(frames, seeds)
        return made

    def _check_designed(self, designed: Sequence[int] | None, chain: ProteinChain) -> None:
        n, own = len(chain.sequence), tuple(sorted(self.task.designed))
        if designed is not None:
            is_right = not isinstance(designed, str) and np.ndim(designed) == 1
            require("designed", designed, is_right, "a list of residues counted from 0, such as [1, 2]")
            for k in designed:
                require("one of the designed residues", k, whole(k) is not None, "a whole number, counted from 0")
        wanted = own if designed is None else tuple(sorted(set(designed)))
        outside = [k for k in wanted if not 0 <= k < n]
        if outside:
            raise MDGenError(f"designed residue {outside[0]}: the chain has {n} residues, counted from 0")
        if len(wanted) == n:
            raise MDGenError("all residues are designed: leave some known, whose motion the design is for")
        if wanted != own:
            theirs = "; ".join(chain.residue_labels[k] for k in own if k < n)
            asked = "; ".join(chain.residue_labels[k] for k in wanted) or "none"
            raise MDGenError(f"designed are to be {asked}, but weights {self.sampler.info.name!r} design {theirs}")

    def _windows(self, n_frames: int, interval: float, samples: int) -> np.ndarray:
        """Numbers of frames, (samples, frames of a window), in windows that are spread evenly."""
        own, info = self.sampler.frame_interval, self.sampler.info
        stride = whole_number(own, interval, tolerance=RECORDED)
        if stride is None:
            raise MDGenError(
                f"the trajectory has a frame each {interval:g} ps, and weights {info.name!r} take frames {own:g} ps "
                "apart: give those, or a whole number of times as many; or state the frame interval if the times are "
                "wrong"
            )
        span = (info.n_frames - 1) * stride + 1
        if n_frames < span:
            raise MDGenError(
                f"the trajectory lasts {(n_frames - 1) * interval:g} ps, and a window of weights {info.name!r} "
                f"{(info.n_frames - 1) * own:g} ps: give a longer one"
            )
        starts = np.linspace(0, n_frames - span, samples).round().astype(int)
        return starts[:, None] + stride * np.arange(info.n_frames)

    def _types(self, frames: Frames, seeds: list[int]) -> list[Design]:
        """Sequences drawn from the network's probabilities, without motion."""
        drawn = [
            torch.multinomial(p, 1, generator=torch.Generator().manual_seed(seed))[:, 0]
            for p, seed in zip(self.sampler.type_probabilities(frames), seeds, strict=True)
        ]
        return [Design(sequence, self.task.designed, None) for sequence in self._sequences(frames, torch.stack(drawn))]

    def _with_motion(self, frames: Frames, seeds: list[int]) -> list[Design]:
        """Sequences and frames drawn together; what is known keeps its rigids and torsions."""
        tokenizer = self.sampler.flow.config.tokenizer
        tokens = self.sampler.sample(frames, seeds)
        rigids, torsions = tokenizer.decode(tokens, *self.task.key_rigids(frames))
        if not tokenizer.torsions:
            torsions = _backbone_torsions(rigids, torsions)
        known = ~self.task.is_designed(frames.aatype.shape[-1]).to(tokens.device)[:, None]
        stretched = torsions.new_tensor([0.0, -1.0]).expand_as(torsions[..., _FIRST_CHI:, :])
        torsions = torch.cat([torsions[..., :_FIRST_CHI, :], stretched], dim=-2)
        torsions = torch.where(known[..., None], frames.torsions, torsions)
        rigids = Rigid.where(known[:, 0], frames.rigids, rigids)
        sequences = self._sequences(frames, tokens[..., tokenizer.width :].mean(1).argmax(-1).cpu())
        aatype = torch.tensor([[RESTYPES.index(letter) for letter in s] for s in sequences], device=tokens.device)
        atoms = to_nm(atom14_from_rigids(aatype[:, None], rigids, torsions).cpu().numpy())
        time = np.arange(atoms.shape[1]) * self.sampler.frame_interval
        return [
            Design(sequence, self.task.designed, _heavy_atoms(sequence, xyz, time))
            for sequence, xyz in zip(sequences, atoms, strict=True)
        ]

    def _sequences(self, frames: Frames, types: Tensor) -> list[str]:
        """Types (B, L) at designed residues, the given ones elsewhere, as letters."""
        chosen = torch.where(self.task.is_designed(types.shape[-1]), types, frames.aatype.cpu())
        return ["".join(RESTYPES[k] for k in row) for row in chosen.tolist()]


def _frames(chain: ProteinChain, positions: np.ndarray) -> Frames:
    """Frames of windows (B, T, N, 3) nm, each laid over the first of its window."""
    positions = positions - positions[:, :, chain.atom_indices].mean(axis=2, keepdims=True)
    frames = frames_of(chain, positions)
    points = backbone_points(frames.rigids)
    motion = superposition(points, points[:, :1], torch.ones_like(points[..., 0]))
    return replace(frames, rigids=motion[..., None] @ frames.rigids)


def _backbone_torsions(rigids: Rigid, torsions: Tensor) -> Tensor:
    """Torsions with omega, phi and psi as rigids (B, T, L) have them, and 180 degrees where the chain ends."""
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
