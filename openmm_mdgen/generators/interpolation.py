"""Interpolation: paths between two given structures.

A *key* is a given frame; both ends of a path come out as they were given. Axes: ``R`` paths, ``N`` atoms of the
topology, ``n`` atoms of the protein chain. Nanometre, picosecond; ångström in tensors.
"""

from __future__ import annotations

import numpy as np
import torch

from openmm_mdgen.arguments import positive
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.given_frames import Keys, batches, draw_until_valid
from openmm_mdgen.generators.sampler import Sampler
from openmm_mdgen.geometry.units import moved
from openmm_mdgen.model.tasks import Interpolation
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.seeds import segment_seed
from openmm_mdgen.times import whole_number

_FARTHEST_DURATION = 0.1  # of the weights' own, that the duration of a path may differ from it


class Interpolator:
    """Weights of interpolation.

    Parameters
    ----------
    sampler : Sampler

    Raises
    ------
    CheckpointError
        If the weights are for another task.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.task = sampler.require(Interpolation)
        self.sampler = sampler

    def frames_of(self, duration: float | None) -> int:
        """Frames of a path of that many picoseconds, both ends included; without one, as the weights were trained.

        Raises
        ------
        MDGenError
            If it is not a whole number of frame intervals, or more than a tenth from the weights' own.
        """
        info, interval = self.sampler.info, self.sampler.frame_interval
        if duration is None:
            return info.n_frames
        own = (info.n_frames - 1) * interval
        duration = positive("duration", duration, "picosecond")
        intervals = whole_number(duration, interval)
        if intervals is None or intervals < 2 or abs(duration - own) > _FARTHEST_DURATION * own + 1e-9:
            raise MDGenError(
                f"a path of {duration:g} ps: weights {info.name!r} make paths of {own:g} ps in intervals of "
                f"{interval:g} ps; take {own:g} ps, or whole intervals within a tenth of that"
            )
        network = self.sampler.flow.config.network
        if intervals + 1 > info.n_frames and (network.frame_embedding or network.time_mixer == "hyena"):
            raise MDGenError(f"a path of {duration:g} ps: weights {info.name!r} make at most {own:g} ps")
        return intervals + 1

    def paths(
        self, chain: ProteinChain, start: np.ndarray, end: np.ndarray, n_frames: int, *, paths: int, seed: int
    ) -> np.ndarray:
        """Paths from one structure to another, both included.

        Parameters
        ----------
        chain : ProteinChain
        start, end : (N, 3), nm
        n_frames : int
            Frames of each path; see `frames_of`.
        paths : int
            How many.
        seed : int

        Returns
        -------
        (R, n_frames, n, 3) nm
            Without tumbling: the first frame is `start`, the last is `end` laid over it.
        """
        sampler = self.sampler
        sampler.warn_of_caps_and_closures(chain)
        keys = Keys(chain, np.stack([start, end]))
        spread = np.zeros(n_frames, dtype=np.int64)
        spread[-1] = 1
        window, motions = keys.window(np.array([0, 1]), spread)
        window = window.to(torch.float32)
        share = torch.linspace(0, 1, n_frames)[1:-1]
        result = np.empty((paths, n_frames, *keys.atoms.shape[1:]))
        result[:, 0] = keys.atoms[0]
        laid_over = moved(motions[1], torch.from_numpy(keys.atoms[1] - keys.centres[1]))
        result[:, -1] = laid_over.numpy() + keys.centres[0]
        first, second = keys.templates

        def drawn(members: np.ndarray, attempt: int) -> np.ndarray:
            frames = Frames.cat([window] * len(members)).to(sampler.device)
            with sampler.threads_for(frames):
                tokens = sampler.sample(frames, [segment_seed(seed, attempt, int(path)) for path in members])
                ends = frames.rigids[:, 0], frames.rigids[:, -1]
                rigids, torsions = sampler.flow.config.tokenizer.decode(tokens, *ends)
                torsions = sampler.backbone.settled(first, torsions[:, 1:-1])
                placed = sampler.backbone.place_between(first, second, rigids[:, 1:-1], torsions, share)
            result[members, 1:-1] = placed.atoms.cpu().double().numpy() + keys.centres[0]
            return placed.is_valid.all(dim=1).cpu().numpy()

        for members in batches(paths, n_frames * len(chain.sequence)):
            draw_until_valid(members, drawn, sampler.backbone.fault)
        return result
