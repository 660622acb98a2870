"""How much memory a batch of trajectories takes, and how much there is.

The numbers of the formula are fits from above to peaks of the resident memory that were measured on a CPU, with
networks of width 96 and 384 and chains of 4 to 162 residues: the estimate was 1.1 to 1.4 times the peak; and 1.5 to 2.1
times where overlaps are lifted, in chains of 4 to 76 residues. On a GPU, where other kernels run, it was not measured.
Axes: ``B`` trajectories, ``T`` frames, ``L`` residues. Bytes.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.molecule.contacts import at_once
from openmm_mdgen.molecule.nearest import frames_pushed_at_once

_FLOAT = 4
_FEATURES, _TOKENS = 14, 32  # tensors (B, T, L, width) and (B, T, L, channels) that are alive at once in a layer
_POINTS = 8  # tensors (B, L, L, heads, points) of point attention; of each key frame, or of all frames if interleaved
_ATOMS_PER_RESIDUE = 20  # 15 to 17 in proteins, 24 at most
_PLACED = 150  # of each atom and frame: group matrices, and positions in two precisions
_PAIR = 10  # of each pair of atoms in the frames in which overlaps are looked for at once
_FOLLOWED, _NEIGHBOURS = 80, 32  # of each pair that a fitted chain is pushed apart by; pairs that an atom makes
_BESIDES = 64 * 2**20  # buffers of libraries
_LARGE = 2**30
_NEARLY_ALL = 0.8


@dataclass(frozen=True)
class Memory:
    """What a batch needs, and what there is."""

    needed: int
    available: int

    @property
    def is_large(self) -> bool:
        """Whether a user wants to know of it beforehand: from one GiB."""
        return self.needed >= _LARGE

    def __str__(self) -> str:
        return f"about {_gib(self.needed)} of memory are needed, and {_gib(self.available)} are available"

    def require(self, what: str) -> None:
        """Refuse what does not fit, and warn of what hardly does.

        Parameters
        ----------
        what : str
            What the memory is for, for the message.

        Raises
        ------
        MDGenError
        """
        remedy = (
            "generate fewer replicas or paths at once, take weights of shorter segments or a smaller network, or a "
            "machine with more memory"
        )
        if self.needed > self.available:
            raise MDGenError(f"{what}: {self}: {remedy}")
        if self.needed > _NEARLY_ALL * self.available:
            warnings.warn(f"{what}: {self}. Should it run out: {remedy}", stacklevel=3)


def needed(network: NetworkConfig, n_trajectories: int, n_frames: int, n_residues: int, *, backbone: str) -> int:
    """Peak memory of one batch beside the weights, in bytes.

    Parameters
    ----------
    network : NetworkConfig
    n_trajectories, n_frames, n_residues : int
        B, T and L.
    backbone : str
        How atoms are placed, one of `placement.BACKBONES`: overlaps are lifted in all chains but those of rigids.
    """
    frames = n_trajectories * n_frames
    features = frames * n_residues * (_FEATURES * network.width + _TOKENS * network.token_width)
    sets = frames if network.interleave_ipa else n_trajectories
    points = _POINTS * sets * n_residues**2 * network.ipa_heads * network.ipa_points
    n_atoms = _ATOMS_PER_RESIDUE * n_residues
    placed = _PLACED * frames * n_atoms
    pairs = _PAIR * min(frames, at_once(n_atoms, math.inf)) * n_atoms**2
    followed = _FOLLOWED * min(frames, frames_pushed_at_once(n_residues)) * n_atoms * _NEIGHBOURS
    placed += {"rigids": 0, "torsions": pairs, "fitted": max(pairs, followed)}[backbone]
    return max(_FLOAT * (features + points), placed) + _BESIDES


def available(device: torch.device) -> int:
    """Memory that is free for this process on a device, in bytes."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min([psutil.virtual_memory().available, *_left_by_control_groups()])


def _left_by_control_groups(root: Path = Path("/sys/fs/cgroup"), listed: Path = Path("/proc/self/cgroup")) -> list[int]:
    """What Linux's control groups leave of their limits, of this process's group and all above it."""
    try:
        lines = listed.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        group = base / path.strip("/")
        for folder in [group, *group.parents]:
            found += _left(folder, *names)
            if folder == base:
                break
    return found


def _left(folder: Path, limit: str, usage: str) -> list[int]:
    """Of one control group; files that were read and can be forgotten do not count as used."""
    try:
        most = (folder / limit).read_text().strip()
        if most == "max":
            return []
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        forgettable = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
        return [max(0, int(most) - int((folder / usage).read_text()) + forgettable)]
    except (OSError, ValueError):
        return []


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
