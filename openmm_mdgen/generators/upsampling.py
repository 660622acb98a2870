"""Upsampling: the fast motion between the frames of a trajectory.

A *key* is a given frame; it comes out as it was given. A *window* is what the network generates at once: a whole number
of intervals between keys. Axes: ``K`` keys, ``N`` atoms of the topology, ``n`` atoms of the protein chain. Nanometre,
picosecond; ångström in tensors.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.arguments import valid_count
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.given_frames import Keys, batches, draw_until_valid
from openmm_mdgen.generators.sampler import Sampler
from openmm_mdgen.geometry.rigid import Rigid, between
from openmm_mdgen.geometry.units import moved
from openmm_mdgen.model.tasks import Upsampling
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.seeds import segment_seed
from openmm_mdgen.times import RECORDED


class Upsampler:
    """Weights of upsampling.

    Parameters
    ----------
    sampler : Sampler

    Attributes
    ----------
    given_interval : float
        Picoseconds between the frames that the weights fill in.

    Raises
    ------
    CheckpointError
        If the weights are for another task.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.task = sampler.require(Upsampling)
        self.sampler = sampler
        self.given_interval = self.task.factor * sampler.frame_interval

    def stride(self, factor: int | None, interval: float) -> int:
        """Which of the generated frames are kept, so that there are `factor` times as many as were given.

        Raises
        ------
        MDGenError
            If the weights do not fill in frames `interval` ps apart, or their own factor is no multiple of this one.
        """
        name, own = self.sampler.info.name, self.task.factor
        factor = own if factor is None else valid_count("factor", factor, least=2)
        if own % factor:
            allowed = ", ".join(str(n) for n in range(2, own + 1) if own % n == 0)
            raise MDGenError(f"factor {factor}: weights {name!r} upsample by {own}, take one of {allowed}")
        needed = self.given_interval
        if not math.isclose(interval, needed, rel_tol=RECORDED):
            raise MDGenError(
                f"the trajectory has a frame each {interval:g} ps, and weights {name!r} fill intervals of "
                f"{needed:g} ps: take every n-th frame so that they are {needed:g} ps apart, or state the frame "
                "interval if the file's times are wrong"
            )
        return own // factor

    def filled(
        self, chain: ProteinChain, positions: np.ndarray, *, seed: int, temperature: float | None = None
    ) -> np.ndarray:
        """A trajectory with frames between its own.

        Windows share the keys at their borders, so each interval between two keys is generated with both of them known.
        A trajectory that does not fill its last window is continued by going back in time: equilibrium motion looks the
        same.

        Parameters
        ----------
        chain : ProteinChain
        positions : (K, N, 3), nm
            At least two frames, in any pose.
        seed : int
        temperature : float, optional
            Kelvin, within the range of the weights. Default: the sampler's.

        Returns
        -------
        ((K - 1) * factor + 1, n, 3) nm
            Every factor-th frame as given; between them the pose goes over evenly.
        """
        sampler, factor = self.sampler, self.task.factor
        per_window = (sampler.info.n_frames - 1) // factor
        sampler.warn_of_caps_and_closures(chain)
        keys = Keys(chain, positions)
        n_intervals = len(positions) - 1
        n_windows = -(-n_intervals // per_window)
        order = np.pad(np.arange(len(positions)), (0, n_windows * per_window - n_intervals), mode="reflect")
        spread = np.minimum(np.arange(sampler.info.n_frames) // factor, per_window)
        result = np.empty((n_intervals * factor + 1, *keys.atoms.shape[1:]))
        result[::factor] = keys.atoms

        def drawn(members: np.ndarray, attempt: int) -> np.ndarray:
            made = [keys.window(order[w * per_window : (w + 1) * per_window + 1], spread) for w in members]
            frames = Frames.cat([window for window, _ in made]).to(torch.float32).to(sampler.device)
            seeds = [segment_seed(seed, int(w), attempt) for w in members]
            is_valid = np.ones(len(members), dtype=bool)
            with sampler.threads_for(frames):
                tokens = sampler.sample(frames, seeds, temperature=temperature)
                rigids, torsions = sampler.flow.config.tokenizer.decode(tokens, frames.rigids[:, 0])
                torsions = sampler.backbone.settled(keys.templates[0], torsions)
                for row, (w, (_, motions)) in enumerate(zip(members, made, strict=True)):
                    for i in range(min(per_window, n_intervals - w * per_window)):
                        k = int(w) * per_window + i
                        part = slice(i * factor + 1, (i + 1) * factor)
                        poses = motions[i], motions[i + 1]
                        inside, valid = self._between(keys, k, rigids[row, part], torsions[row, part], *poses)
                        result[k * factor + 1 : (k + 1) * factor] = inside
                        is_valid[row] &= valid
            return is_valid

        for members in batches(n_windows, sampler.info.n_frames * len(chain.sequence)):
            draw_until_valid(members, drawn, sampler.backbone.fault)
        return result

    def _between(
        self, keys: Keys, k: int, rigids: Rigid, torsions: Tensor, from_pose: Rigid, to_pose: Rigid
    ) -> tuple[np.ndarray, bool]:
        """Frames (factor - 1, n, 3) nm between keys k and k + 1, in poses that go from that of one key to the other's.

        And whether all of them are valid.

        The two motions are those that lay the keys over the first key of the window, in which rigids are generated.
        """
        share = torch.arange(1, self.task.factor) / self.task.factor
        first, second = keys.templates[k], keys.templates[k + 1]
        placed = self.sampler.backbone.place_between(first, second, rigids, torsions, share)
        pose = between(from_pose, to_pose, share.double())  # turns about the molecule, not about the origin
        there = moved(pose.inverse()[:, None], placed.atoms.cpu().double()).numpy()
        along = share.double().numpy()[:, None]
        centres = (1 - along) * keys.centres[k] + along * keys.centres[k + 1]
        return there + centres[:, None], bool(placed.is_valid.all())
