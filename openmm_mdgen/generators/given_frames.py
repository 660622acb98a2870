"""What interpolation and upsampling share: given frames of a molecule, which come out as they were given.

A *key* is a given frame. Axes: ``K`` keys, ``T`` frames of a window, ``L`` residues, ``N`` atoms of the topology, ``n``
atoms of the protein chain. Positions in nanometre; ångström in tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from openmm_mdgen.errors import GenerationError, UnsupportedTopologyError
from openmm_mdgen.generators.sampler import frames_of
from openmm_mdgen.geometry.atom14 import backbone_points
from openmm_mdgen.geometry.rigid import Rigid, superposition
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate
from openmm_mdgen.protocol import MOST_INVALID

_TOKENS_AT_ONCE = 20_000  # frames times residues in one batch: memory, and a batch wide enough for speed


class Keys:
    """Given frames of one chain, each with its own geometry and its pose.

    Parameters
    ----------
    chain : ProteinChain
    positions : (K, N, 3), nm

    Attributes
    ----------
    atoms : (K, n, 3) float64, nm
    centres : (K, 3) float64, nm
        Mean position of each key's atoms.
    templates : list of AllAtomTemplate
        The geometry of each key, about its centre.
    chain : ProteinChain
        As the first key resolves it.
    frames : Frames
        (1, K, L), float64, about the centres.

    Raises
    ------
    UnsupportedTopologyError
        If two methyl groups of a residue change places between keys.
    """

    def __init__(self, chain: ProteinChain, positions: np.ndarray) -> None:
        positions = np.asarray(positions, dtype=np.float64)
        self.atoms = positions[:, chain.atom_indices]
        self.centres = self.atoms.mean(axis=1)  # float32 is exact enough near the origin only
        centred = positions - self.centres[:, None]
        self.templates = [AllAtomTemplate.measure(chain, frame) for frame in centred]
        self.chain = self.templates[0].chain
        for k, template in enumerate(self.templates):
            if not np.array_equal(template.chain.bonds, self.chain.bonds):
                raise UnsupportedTopologyError(
                    f"given frame 0 and frame {k} are closed by other bonds, disulfides or one between both ends: give "
                    "frames of one molecule"
                )
            if not np.array_equal(template.chain.atom14_index, self.chain.atom14_index):
                moved = (template.chain.atom14_index != self.chain.atom14_index).any(axis=1)
                raise UnsupportedTopologyError(
                    f"{self.chain.residue_labels[int(np.argmax(moved))]}: its two methyl groups have changed places "
                    f"between given frame 0 and frame {k}. Name its atoms alike in both"
                )
        self.frames = frames_of(self.chain, centred[None], dtype=torch.float64)

    def window(self, keys: np.ndarray, spread: np.ndarray) -> tuple[Frames, Rigid]:
        """A trajectory that stands still at one key after another.

        Parameters
        ----------
        keys : (k,) int
            Numbers of the keys, which are laid over the first of them.
        spread : (T,) int
            For each frame of the window, which of `keys` it stands at.

        Returns
        -------
        Frames, (1, T, L)
        Rigid, (k,)
            The motions that lay the keys over the first.
        """
        points = backbone_points(self.frames.rigids[0, keys])
        motions = superposition(points, points[:1], torch.ones_like(points[..., 0]))
        index = torch.from_numpy(spread)
        rigids = (motions[:, None] @ self.frames.rigids[0, keys])[index]
        return replace(self.frames, rigids=rigids[None], torsions=self.frames.torsions[:, keys[spread]]), motions


def draw_until_valid(members: np.ndarray, drawn: Callable[[np.ndarray, int], np.ndarray], fault: str) -> None:
    """Draw members of a batch, and anew those in which a frame is not valid.

    Parameters
    ----------
    members : (m,) int
    drawn : callable
        Draws some of the members, given the number of the attempt, which its seeds are to depend on; returns which of
        them are valid, (m,) bool.
    fault : str
        What is wrong with frames that are not valid.

    Raises
    ------
    GenerationError
        If a member has had no valid frames `protocol.MOST_INVALID` times in a row.
    """
    for attempt in range(MOST_INVALID):
        members = members[~drawn(members, attempt)]
        if len(members) == 0:
            return
    raise GenerationError(
        f"{MOST_INVALID} draws in a row gave frames that cannot be used: {fault}. Start from relaxed structures, or "
        "try another seed or other weights"
    )


def batches(n: int, size: int) -> list[np.ndarray]:
    """Numbers 0 to n - 1 in pieces that fit into memory, given the tokens (frames times residues) of one member."""
    return np.array_split(np.arange(n), -(-n // max(1, _TOKENS_AT_ONCE // size)))
