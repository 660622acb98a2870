"""Frames between given ones: paths between two structures, and fast motion between the frames of a trajectory.

A *key* is a given frame; it comes out as it was given. Axes: ``R`` paths, ``W`` windows, ``K`` keys, ``T`` frames of a
window, ``N`` atoms of the topology, ``n`` atoms of the protein chain. Nanometre, picosecond; ångström in tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.geometry.atom14 import backbone_points
from openmm_mdgen.geometry.rigid import Rigid, between, superposition
from openmm_mdgen.model.tasks import Upsampling
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ANGSTROM_PER_NM, ProteinChain
from openmm_mdgen.molecule.placement import place_between, settled
from openmm_mdgen.molecule.template import AllAtomTemplate
from openmm_mdgen.seeds import segment_seed

if TYPE_CHECKING:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

_TOKENS_AT_ONCE = 20_000  # frames times residues in one batch: memory, and a batch wide enough for speed


class Keys:
    """Given frames of one chain, each with its own geometry and its pose.

    Parameters
    ----------
    chain : ProteinChain
    positions : (K, N, 3), nm
    """

    def __init__(self, chain: ProteinChain, positions: np.ndarray) -> None:
        positions = np.asarray(positions, dtype=np.float64)
        self.atoms = positions[:, chain.atom_indices]  # (K, n, 3)
        self.centres = self.atoms.mean(axis=1)  # float32 is exact enough near the origin only
        centred = positions - self.centres[:, None]
        self.templates = [AllAtomTemplate.measure(chain, frame) for frame in centred]
        self.chain = self.templates[0].chain
        for k, template in enumerate(self.templates):
            if not np.array_equal(template.chain.atom14_index, self.chain.atom14_index):
                moved = (template.chain.atom14_index != self.chain.atom14_index).any(axis=1)
                raise UnsupportedTopologyError(
                    f"{self.chain.residue_labels[int(np.argmax(moved))]}: its two methyl groups have changed places "
                    f"between given frame 0 and frame {k}. Name its atoms alike in both"
                )
        aatype = torch.from_numpy(self.chain.aatype)[None]
        self.frames = Frames.from_atom14(aatype, self.chain.atom14(centred)[None])  # (1, K, L), float64

    def window(self, keys: np.ndarray, spread: np.ndarray) -> tuple[Frames, Rigid]:
        """Frames (1, T) that stand at `keys[spread]`, and the motions (k,) that lay those keys over the first."""
        points = backbone_points(self.frames.rigids[0, keys])
        motions = superposition(points, points[:1], torch.ones_like(points[..., 0]))
        index = torch.from_numpy(spread)
        rigids = (motions[:, None] @ self.frames.rigids[0, keys])[index]
        return Frames(
            self.frames.aatype,
            Rigid(rigids.rotation[None], rigids.translation[None]),
            self.frames.torsions[:, keys[spread]],
            self.frames.torsion_mask,
            self.frames.residue_mask,
        ), motions


def paths_between(
    generator: TrajectoryGenerator,
    chain: ProteinChain,
    start: np.ndarray,
    end: np.ndarray,
    n_frames: int,
    *,
    paths: int,
    seed: int,
) -> np.ndarray:
    """Paths from one structure to another, both included.

    Parameters
    ----------
    start, end : (N, 3), nm

    Returns
    -------
    (R, n_frames, n, 3) nm, without tumbling: the first frame is `start`, the last is `end` laid over it.
    """
    keys = Keys(chain, np.stack([start, end]))
    spread = np.zeros(n_frames, dtype=np.int64)
    spread[-1] = 1
    window, motions = keys.window(np.array([0, 1]), spread)
    window = window.to(torch.float32)
    share = torch.linspace(0, 1, n_frames)[1:-1]
    result = np.empty((paths, n_frames, *keys.atoms.shape[1:]))
    laid_over_start = motions[1].apply(torch.from_numpy((keys.atoms[1] - keys.centres[1]) * ANGSTROM_PER_NM)).numpy()
    result[:, 0] = keys.atoms[0]
    result[:, -1] = laid_over_start / ANGSTROM_PER_NM + keys.centres[0]
    for members in _batches(paths, n_frames * len(chain.sequence)):
        frames = _expanded(window, len(members)).to(generator.device)
        tokens = generator.sample(frames, [segment_seed(seed, 0, int(path)) for path in members])
        rigids, torsions = generator.flow.config.tokenizer.decode(tokens, frames.rigids[:, 0], frames.rigids[:, -1])
        torsions = settled(keys.templates[0], torsions[:, 1:-1], generator.info.backbone)
        first, second = keys.templates
        placed = place_between(first, second, rigids[:, 1:-1], torsions, share, generator.info.backbone)
        result[members, 1:-1] = placed.double().cpu().numpy() + keys.centres[0]
    return result


def upsampled(generator: TrajectoryGenerator, chain: ProteinChain, positions: np.ndarray, *, seed: int) -> np.ndarray:
    """A trajectory with frames between its own.

    Windows share the keys at their borders, so each interval between two keys is generated with both of them known. A
    trajectory that does not fill its last window is continued by going back in time: equilibrium motion looks the same.

    Parameters
    ----------
    positions : (K, N, 3), nm
        At least two frames, in any pose.

    Returns
    -------
    ((K - 1) * factor + 1, n, 3) nm, every factor-th frame as given; between them the pose goes over evenly.
    """
    task = generator.flow.config.task
    assert isinstance(task, Upsampling)
    factor, per_window = task.factor, (generator.info.n_frames - 1) // task.factor
    keys = Keys(chain, positions)
    n_intervals = len(positions) - 1
    n_windows = -(-n_intervals // per_window)
    order = np.pad(np.arange(len(positions)), (0, n_windows * per_window - n_intervals), mode="reflect")
    spread = np.minimum(np.arange(generator.info.n_frames) // factor, per_window)
    share = torch.arange(1, factor) / factor
    result = np.empty((n_intervals * factor + 1, *keys.atoms.shape[1:]))
    result[::factor] = keys.atoms
    for members in _batches(n_windows, generator.info.n_frames * len(chain.sequence)):
        made = [keys.window(order[w * per_window : (w + 1) * per_window + 1], spread) for w in members]
        frames = _joined([window for window, _ in made]).to(torch.float32).to(generator.device)
        tokens = generator.sample(frames, [segment_seed(seed, int(w)) for w in members])
        rigids, torsions = generator.flow.config.tokenizer.decode(tokens, frames.rigids[:, 0])
        torsions = settled(keys.templates[0], torsions, generator.info.backbone)
        for row, (w, (_, motions)) in enumerate(zip(members, made, strict=True)):
            for i in range(min(per_window, n_intervals - w * per_window)):
                k = int(w) * per_window + i
                part = slice(i * factor + 1, (i + 1) * factor)
                placed = place_between(
                    keys.templates[k], keys.templates[k + 1], rigids[row, part], torsions[row, part], share,
                    generator.info.backbone,
                )  # fmt: skip
                pose = between(motions[i], motions[i + 1], share.double())  # turns about the molecule, not the origin
                there = pose.inverse()[:, None].apply(placed.double().cpu() * ANGSTROM_PER_NM).numpy() / ANGSTROM_PER_NM
                along = share.double().numpy()[:, None]
                centres = (1 - along) * keys.centres[k] + along * keys.centres[k + 1]
                result[k * factor + 1 : (k + 1) * factor] = there + centres[:, None]
    return result


def path_frames(generator: TrajectoryGenerator, duration: float | None) -> int:
    """Frames of a path of that many picoseconds, both ends included; without one, as the weights were trained.

    Raises
    ------
    MDGenError
        If it is not a whole number of frame intervals, or more than a tenth from the weights' own.
    """
    trained, interval = generator.info.n_frames, generator.frame_interval
    if duration is None:
        return trained
    own = (trained - 1) * interval
    intervals = round(duration / interval)
    if (
        abs(intervals * interval - duration) > 1e-6 * interval
        or abs(duration - own) > 0.1 * own + 1e-9
        or intervals < 2
    ):
        raise MDGenError(
            f"a path of {duration:g} ps: weights {generator.info.name!r} make paths of {own:g} ps in intervals of "
            f"{interval:g} ps; take {own:g} ps, or whole intervals within a tenth of that"
        )
    network = generator.flow.config.network
    if intervals + 1 > trained and (network.frame_embedding or network.time_mixer == "hyena"):
        raise MDGenError(f"a path of {duration:g} ps: weights {generator.info.name!r} make at most {own:g} ps")
    return intervals + 1


def _batches(n: int, size: int) -> list[np.ndarray]:
    """Numbers 0 to n - 1 in pieces of at most `_TOKENS_AT_ONCE` tokens, given the size of one."""
    return np.array_split(np.arange(n), -(-n // max(1, _TOKENS_AT_ONCE // size)))


def _expanded(frames: Frames, n: int) -> Frames:
    return _joined([frames] * n)


def _joined(frames: list[Frames]) -> Frames:
    """Batches of one chain, one after another."""
    return Frames(
        torch.cat([f.aatype for f in frames]),
        Rigid(torch.cat([f.rigids.rotation for f in frames]), torch.cat([f.rigids.translation for f in frames])),
        torch.cat([f.torsions for f in frames]),
        torch.cat([f.torsion_mask for f in frames]),
        torch.cat([f.residue_mask for f in frames]),
    )
